// What an event and an answer of Iamport have to look like, and the document that is made of them.

export class Failure extends Error {
  constructor(reason, text, { temporary = false, status } = {}) {
    super(text);
    this.reason = reason;
    this.temporary = temporary; // worth another try
    this.status = status;
  }
}

const IMP_UID = /^[A-Za-z0-9_-]{1,64}$/;

export function parseEvent(value) {
  const event = parseJson(value);
  if (typeof event?.imp_uid !== 'string' || !IMP_UID.test(event.imp_uid)) {
    throw new Failure('invalid_event', 'the value is not JSON with a valid imp_uid');
  }
  return event.imp_uid;
}

/** undefined for what is not JSON. */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** body: the parsed JSON, undefined where it is none. */
export function toDocument(impUid, status, body) {
  checkStatus(status, body);
  const record = body.response;
  if (record?.imp_uid !== impUid) {
    throw new Failure('bad_response', 'the answer is about another imp_uid', { temporary: true, status });
  }
  if (record.certified !== true) throw new Failure('not_certified', 'not certified', { status });
  if (typeof record.unique_key !== 'string' || record.unique_key === '') {
    throw new Failure('no_unique_key', 'certified without unique_key', { status });
  }
  return {
    _id: impUid,
    unique_key: record.unique_key,
    unique_in_site: record.unique_in_site ?? null,
    certified: true,
    certified_at: Number.isInteger(record.certified_at) ? new Date(record.certified_at * 1000) : null,
    verified_at: new Date(),
  };
}

function checkStatus(status, body) {
  if (status >= 500 || status === 429 || status === 401) {
    throw new Failure('unavailable', `HTTP ${status}`, { temporary: true, status });
  }
  if (status === 404) throw new Failure('not_found', 'no such certification', { status });
  if (status !== 200) throw new Failure('refused', `HTTP ${status}`, { status });
  if (typeof body?.code !== 'number') {
    throw new Failure('bad_response', 'the answer is not the JSON expected', { temporary: true, status });
  }
  if (body.code !== 0) throw new Failure('refused', `code ${body.code}`, { status });
}
