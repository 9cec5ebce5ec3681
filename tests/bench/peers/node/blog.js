// The worker of the usual blog post: kafkajs (eachMessage, auto-commit with its defaults), axios with a keep-alive agent,
// and the MongoDB driver (one upsert for each event).
//
// One event after the other in each partition, all partitions at once. The offset of an event is resolved when its
// handler has returned, and kafkajs commits what is resolved at the end of each fetched batch. axios speaks HTTP/1.1.

import http from 'node:http';
import https from 'node:https';
import axios from 'axios';
import { MongoClient } from 'mongodb';
import { Failure, parseEvent } from './certification.js';
import { DeadLetters, openKafka } from './kafka.js';
import { fatal, readSettings } from './settings.js';
import { KeyRefused } from './token.js';
import { Verifier } from './verifier.js';

const settings = readSettings();
const kafka = openKafka(settings);
const consumer = kafka.consumer({ groupId: settings.group });
const deadLetters = new DeadLetters(kafka, settings.topic);
const mongo = new MongoClient(settings.mongodb);
const verifier = new Verifier(httpClient(), settings);
let running = false;

function httpClient() {
  const client = axios.create({
    baseURL: settings.url,
    httpAgent: new http.Agent({ keepAlive: true }),
    httpsAgent: new https.Agent({ keepAlive: true, ca: settings.ca }),
    timeout: 10_000,
    maxRedirects: 0,
    proxy: false,
    validateStatus: null,
  });
  const answer = ({ status, data }) => ({ status, body: typeof data === 'object' && data ? data : undefined });
  return {
    get: async (path, token) => answer(await client.get(path, { headers: { Authorization: `Bearer ${token}` } })),
    post: async (path, body) => answer(await client.post(path, body)),
  };
}

async function partitionCount() {
  const admin = kafka.admin();
  await admin.connect();
  const { topics } = await admin.fetchTopicMetadata({ topics: [settings.topic] });
  await admin.disconnect();
  return topics[0].partitions.length;
}

async function handle(message, heartbeat) {
  const impUid = parseEvent(message.value);
  // Tries that time out may together take longer than the session.
  const beat = setInterval(() => heartbeat().catch(() => {}), 3000);
  try {
    const { _id, ...fields } = await verifier.verify(impUid);
    await certifications().updateOne({ _id }, { $set: fields }, { upsert: true });
  } finally {
    clearInterval(beat);
  }
}

function certifications() {
  return mongo.db(settings.database).collection(settings.collection, { writeConcern: { w: 'majority' } });
}

async function eachMessage({ topic, partition, message, heartbeat }) {
  try {
    await handle(message, heartbeat);
  } catch (error) {
    if (error instanceof KeyRefused) fatal(error);
    if (!(error instanceof Failure)) throw error; // MongoDB: kafkajs delivers the event again
    await deadLetters.send(`${topic}/${partition}/${message.offset}`, message, error);
  }
}

async function stop() {
  if (!running) process.exit(0);
  await consumer.disconnect(); // after the events under way, and a last commit
  await deadLetters.close();
  await mongo.close();
  process.exit(0);
}

process.on('SIGTERM', () => stop().catch(fatal));
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) fatal(payload.error);
});

await Promise.all([mongo.connect(), deadLetters.connect(), consumer.connect(), verifier.start()]).catch(fatal);
await consumer.subscribe({ topic: settings.topic, fromBeginning: true });
const partitions = await partitionCount();
running = true;
await consumer.run({ partitionsConsumedConcurrently: Math.min(partitions, settings.inFlight), eachMessage });
