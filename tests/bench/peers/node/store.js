// Writes documents in unordered batches, by size or age, several under way. A batch is inserted; the few of it that are
// there already are then updated, which is much cheaper for MongoDB than an upsert of each.

import { setTimeout as sleep } from 'node:timers/promises';
import { MongoBulkWriteError } from 'mongodb';
import { Failure } from './certification.js';
import { backoff } from './verifier.js';

const BATCH = 500;
const AGE_MS = 20;
const WRITES = 4; // at once
const DUPLICATE_KEY = 11000;

export class Store {
  #collection;
  #freed;
  #queue = [];
  #timer = null;
  #writes = 0;
  #waiting = 0;

  /** freed(): called when there may be room again. */
  constructor(collection, freed) {
    this.#collection = collection;
    this.#freed = freed;
  }

  full() {
    return this.#waiting >= WRITES * BATCH;
  }

  /** Settles when the document is acknowledged or refused. */
  write(document) {
    this.#waiting++;
    return new Promise((resolve, reject) => {
      this.#queue.push({ document, resolve, reject });
      if (this.#queue.length >= BATCH) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), AGE_MS);
    });
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#queue.length > 0 && this.#writes < WRITES) this.#send(this.#queue.splice(0, BATCH));
  }

  async #send(batch) {
    this.#writes++;
    const refused = await this.#acknowledged(batch);
    this.#writes--;
    this.#waiting -= batch.length;
    batch.forEach(({ resolve, reject }, index) => (refused.has(index) ? reject(refused.get(index)) : resolve()));
    this.#freed();
    if (this.#queue.length > 0) this.#timer ??= setTimeout(() => this.#flush(), AGE_MS);
  }

  /** Tries until MongoDB has taken the batch; gives {index: Failure} of what it refuses for good. */
  async #acknowledged(batch) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#insert(batch.map(({ document }) => document));
      } catch (error) {
        console.error(`MongoDB: ${error.message}`);
        await sleep(backoff(attempt));
      }
    }
  }

  async #insert(documents) {
    const errors = await writeErrors(this.#collection.insertMany(documents, { ordered: false }));
    const there = errors.filter(({ code }) => code === DUPLICATE_KEY).map(({ index }) => index);
    const refused = errors.filter(({ code }) => code !== DUPLICATE_KEY);
    if (there.length > 0) {
      const updates = there.map((index) => update(documents[index]));
      const more = await writeErrors(this.#collection.bulkWrite(updates, { ordered: false }));
      refused.push(...more.map(({ index, errmsg }) => ({ index: there[index], errmsg })));
    }
    return new Map(refused.map(({ index, errmsg }) => [index, new Failure('store_rejected', errmsg)]));
  }
}

function update({ _id, ...fields }) {
  return { updateOne: { filter: { _id }, update: { $set: fields }, upsert: true } };
}

/** The errors of single documents. Anything else is thrown: then nothing is known to be acknowledged. */
async function writeErrors(write) {
  try {
    await write;
    return [];
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError) || error.result.getWriteConcernError()) throw error;
    const errors = [error.writeErrors].flat();
    if (errors.length === 0) throw error;
    return errors.map(({ index, code, errmsg }) => ({ index, code, errmsg }));
  }
}
