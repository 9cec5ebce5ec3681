// A worker as fast as node allows: kafkajs (eachBatch, only to feed), undici (a pool; HTTP/2 over TLS), and the MongoDB
// driver (unordered insertMany batches, duplicates updated afterwards).
//
// eachBatch starts events as long as fewer than IMPCERT_IN_FLIGHT verifications are under way and returns when the last
// of its batch has begun, so that the next fetch happens while the rest are still being worked on. An event is done when
// its document is acknowledged or its dead letter is; the contiguous row of done events is committed each second. A
// rebalance forgets what is not committed, and Kafka delivers it again.

import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { Failure, parseEvent } from './certification.js';
import { openHttp } from './http.js';
import { DeadLetters, openKafka } from './kafka.js';
import { Offsets } from './offsets.js';
import { fatal, readSettings } from './settings.js';
import { Store } from './store.js';
import { Verifier } from './verifier.js';

const COMMIT_MS = 1000;
const DRAIN_MS = 25_000;

class Worker {
  #settings;
  #consumer;
  #deadLetters;
  #mongo;
  #http;
  #verifier;
  #store;
  #offsets = new Offsets();
  #verifying = 0;
  #open = 0; // events begun and not done
  #feeder = null; // resolves when there may be room; there is one feeder, as one batch is fed at a time
  #committing = Promise.resolve();
  #running = false;
  #stopping = false;

  constructor(settings) {
    this.#settings = settings;
    const kafka = openKafka(settings);
    this.#consumer = kafka.consumer({
      groupId: settings.group,
      maxWaitTimeInMs: 500, // SIGTERM waits for a fetch under way
      maxBytesPerPartition: 128 * 1024, // decoded at one go, between answers
    });
    this.#deadLetters = new DeadLetters(kafka, settings.topic);
    this.#mongo = new MongoClient(settings.mongodb);
  }

  async start() {
    const { topic, database, collection } = this.#settings;
    this.#http = await openHttp(this.#settings);
    this.#verifier = new Verifier(this.#http, this.#settings);
    const certifications = this.#mongo.db(database).collection(collection, { writeConcern: { w: 'majority' } });
    this.#store = new Store(certifications, () => this.#wake());
    const { GROUP_JOIN, CRASH } = this.#consumer.events;
    this.#consumer.on(GROUP_JOIN, () => this.#offsets.reset());
    this.#consumer.on(CRASH, ({ payload }) => payload.restart || fatal(payload.error));

    const ready = [this.#mongo.connect(), this.#deadLetters.connect(), this.#consumer.connect(), this.#verifier.start()];
    await Promise.all(ready);
    await this.#consumer.subscribe({ topic, fromBeginning: true });
    this.#running = true;
    await this.#consumer.run({ autoCommit: false, eachBatch: (payload) => this.#feed(payload) });
    setInterval(() => this.#tick(), COMMIT_MS);
  }

  async #feed({ batch, heartbeat }) {
    const partition = this.#offsets.of(batch.partition);
    for (const message of batch.messages) {
      while (this.#full()) {
        await new Promise((resolve) => (this.#feeder = resolve));
        await heartbeat();
      }
      if (this.#stopping) return;
      if (!this.#offsets.has(partition)) throw new Error('a batch of an assignment that is over');
      const event = partition.begin(Number(message.offset));
      if (event) this.#work(partition, event, message).catch(fatal);
    }
  }

  #full() {
    return !this.#stopping && (this.#verifying >= this.#settings.inFlight || this.#store.full());
  }

  #wake() {
    const feeder = this.#feeder;
    this.#feeder = null;
    feeder?.();
  }

  async #work(partition, event, message) {
    this.#open++;
    try {
      await this.#store.write(await this.#verify(message));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.#deadLetters.send(`${this.#settings.topic}/${partition.number}/${message.offset}`, message, error);
    }
    partition.done(event);
    this.#open--;
  }

  async #verify(message) {
    this.#verifying++;
    try {
      return await this.#verifier.verify(parseEvent(message.value));
    } finally {
      this.#verifying--;
      this.#wake();
    }
  }

  #tick() {
    this.#wake(); // a feeder without room still has to send heartbeats
    this.#commit().catch((error) => console.error(`commit: ${error.message}`));
  }

  /** One commit at a time, so that none overtakes another. */
  #commit() {
    this.#committing = this.#committing.catch(() => {}).then(() => this.#commitNow());
    return this.#committing;
  }

  async #commitNow() {
    const moved = this.#offsets.uncommitted().map((partition) => ({ partition, position: partition.position }));
    if (moved.length === 0) return;
    const topic = this.#settings.topic;
    await this.#consumer.commitOffsets(
      moved.map(({ partition, position }) => ({ topic, partition: partition.number, offset: String(position) })),
    );
    for (const { partition, position } of moved) partition.committed = position;
  }

  async stop() {
    if (this.#stopping) return;
    this.#stopping = true;
    if (!this.#running) process.exit(0);
    this.#consumer.pause([{ topic: this.#settings.topic }]);
    this.#wake();
    const deadline = performance.now() + DRAIN_MS;
    while (this.#open > 0 && performance.now() < deadline) await sleep(10);
    await this.#commit();
    if (this.#open > 0) fatal(new Error(`${this.#open} events were not done in time`));
    await this.#consumer.disconnect();
    await Promise.all([this.#deadLetters.close(), this.#mongo.close(), this.#http.close()]);
    process.exit(0);
  }
}

const worker = new Worker(readSettings());
process.on('SIGTERM', () => worker.stop().catch(fatal));
await worker.start().catch(fatal);
