// HTTP for the batched worker: an undici pool, HTTP/2 where TLS offers it, answers taken by a handler without streams.

import { connect as tlsConnect } from 'node:tls';
import { isIP } from 'node:net';
import { once } from 'node:events';
import { Pool } from 'undici';
import { parseJson } from './certification.js';

const STREAMS = 128; // at once on one HTTP/2 connection: what servers allow by default
const TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 3000;
const BODY_MAX = 1 << 20;

export async function openHttp(settings) {
  const url = new URL(settings.url);
  const http2 = url.protocol === 'https:' && process.env.PEER_HTTP2 !== 'off' && (await offersHttp2(url, settings.ca));
  return new Http(url, settings, http2);
}

/** undici limits the requests of a connection before it knows the protocol, so it has to be known here. */
async function offersHttp2(url, ca) {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = tlsConnect({
    host,
    port: url.port || 443,
    servername: isIP(host) ? '' : host,
    ca,
    ALPNProtocols: ['h2', 'http/1.1'],
    signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
  });
  await once(socket, 'secureConnect');
  socket.destroy();
  return socket.alpnProtocol === 'h2';
}

class Http {
  #pool;
  #prefix;

  constructor(url, settings, http2) {
    this.#prefix = url.pathname === '/' ? '' : url.pathname;
    this.#pool = new Pool(url.origin, {
      allowH2: http2,
      connections: http2 ? Math.ceil(settings.inFlight / STREAMS) : settings.inFlight,
      pipelining: http2 ? STREAMS : 1,
      connect: { ca: settings.ca, timeout: CONNECT_TIMEOUT_MS },
      keepAliveTimeout: 30_000,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      maxResponseSize: BODY_MAX,
    });
  }

  get(path, token) {
    return this.#send({ method: 'GET', path: this.#prefix + path, headers: { authorization: `Bearer ${token}` } });
  }

  post(path, body) {
    const headers = { 'content-type': 'application/json' };
    return this.#send({ method: 'POST', path: this.#prefix + path, headers, body: JSON.stringify(body) });
  }

  #send(request) {
    return new Promise((resolve, reject) => this.#pool.dispatch(request, new Answer(resolve, reject)));
  }

  close() {
    return this.#pool.destroy();
  }
}

class Answer {
  #resolve;
  #reject;
  #status = 0;
  #chunks = [];

  constructor(resolve, reject) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart() {} // undici tells by it that this is a handler of the current kind

  onResponseStart(_, status) {
    this.#status = status;
  }

  onResponseData(_, chunk) {
    this.#chunks.push(chunk);
  }

  onResponseEnd() {
    const body = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#resolve({ status: this.#status, body: parseJson(body.toString()) });
  }

  onResponseError(_, error) {
    this.#reject(error);
  }
}
