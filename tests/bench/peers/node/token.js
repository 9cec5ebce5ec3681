// The bearer token: one request for it at a time, asked for again shortly before its end or after a 401.

import { Failure } from './certification.js';

const MARGIN_MS = 30_000;

/** Nothing can be verified any more. */
export class KeyRefused extends Error {}

export class Tokens {
  #http;
  #pair;
  #token = null;
  #end = 0; // on the monotonic clock, from the life left on the service's own
  #margin = 0;
  #pending = null;

  constructor(http, settings) {
    this.#http = http;
    this.#pair = { imp_key: settings.key, imp_secret: settings.secret };
  }

  /** null when there is none: then await fresh(). */
  current() {
    const left = this.#end - performance.now();
    if (left <= 0) return null;
    if (left < this.#margin) this.fresh().catch((error) => console.error(`token: ${error.message}`));
    return this.#token;
  }

  fresh() {
    this.#pending ??= this.#ask().finally(() => (this.#pending = null));
    return this.#pending;
  }

  /** `token` got a 401. */
  refused(token) {
    if (token === this.#token) this.#end = 0;
  }

  async #ask() {
    const { status, body } = await this.#http.post('/users/getToken', this.#pair);
    if (status === 400 || status === 401) throw new KeyRefused(`the key pair is refused: HTTP ${status}`);
    if (status !== 200 || body?.code !== 0) {
      throw new Failure('unavailable', `no token: HTTP ${status}`, { temporary: true, status });
    }
    const { access_token, now, expired_at } = body.response;
    const life = (expired_at - now) * 1000;
    this.#token = access_token;
    this.#end = performance.now() + life;
    // Early requests give the same end: a share of what is left keeps them few.
    this.#margin = Math.min(MARGIN_MS, life / 4);
    return access_token;
  }
}
