// Verifies an imp_uid with a few tries. `http` is the worker's own client:
// get(path, token) and post(path, object) give {status, body}, body being undefined where it is not JSON.

import { setTimeout as sleep } from 'node:timers/promises';
import { Failure, toDocument } from './certification.js';
import { KeyRefused, Tokens } from './token.js';

const ATTEMPTS = 4;
const BACKOFF_MS = 200;
const BACKOFF_MAX_MS = 10_000;

export class Verifier {
  #http;
  #tokens;

  constructor(http, settings) {
    this.#http = http;
    this.#tokens = new Tokens(http, settings);
  }

  /** Gets the first token, so that a wrong key pair shows at start. */
  start() {
    return this.#tries(() => this.#tokens.fresh());
  }

  /** The document, or a Failure. */
  verify(impUid) {
    return this.#tries(() => this.#once(impUid));
  }

  async #tries(once) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        if (error instanceof KeyRefused) throw error;
        const failure = error instanceof Failure ? error : connectionFailure(error);
        failure.attempts = attempt;
        if (!failure.temporary || attempt === ATTEMPTS) throw failure;
        await sleep(backoff(attempt));
      }
    }
  }

  async #once(impUid) {
    const path = `/certifications/${encodeURIComponent(impUid)}`;
    const token = this.#tokens.current() ?? (await this.#tokens.fresh());
    let answer = await this.#http.get(path, token);
    if (answer.status === 401) {
      this.#tokens.refused(token);
      answer = await this.#http.get(path, this.#tokens.current() ?? (await this.#tokens.fresh()));
    }
    return toDocument(impUid, answer.status, answer.body);
  }
}

function connectionFailure(error) {
  return new Failure('unavailable', error.message || error.code || String(error), { temporary: true });
}

/** Exponential, with full jitter. */
export function backoff(attempt) {
  return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** (attempt - 1));
}
