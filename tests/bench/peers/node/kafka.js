// The Kafka client of both workers and their dead letters.

import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import lz4 from 'lz4-napi';
import { backoff } from './verifier.js';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs;

// kafkajs brings only gzip, and impcert-publish writes in lz4.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});

export function openKafka(settings) {
  // From WARN on it logs to stderr only.
  return new Kafka({ clientId: 'impcert-peer', brokers: settings.brokers, logLevel: logLevel.WARN });
}

export class DeadLetters {
  #producer;
  #topic;

  constructor(kafka, topic) {
    this.#producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    this.#topic = `${topic}.dlq`;
  }

  connect() {
    return this.#producer.connect();
  }

  close() {
    return this.#producer.disconnect();
  }

  /** Returns when all in-sync replicas have it; as long as they do not, the event is not done. */
  async send(origin, message, failure) {
    console.error(`dead letter: ${origin} key ${message.key}: ${failure.reason}: ${failure.message}`);
    const record = { key: message.key ?? origin, value: message.value, headers: { ...message.headers, ...headers(origin, failure) } };
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#producer.send({ topic: this.#topic, acks: -1, messages: [record] });
        return;
      } catch (error) {
        console.error(`dead letter: ${origin}: ${error.message}`);
        await sleep(backoff(attempt));
      }
    }
  }
}

function headers(origin, failure) {
  return {
    'impcert.reason': failure.reason,
    'impcert.error': failure.message,
    ...(failure.status && { 'impcert.http_status': String(failure.status) }),
    'impcert.attempts': String(failure.attempts ?? 0),
    'impcert.failed_at': new Date().toISOString(),
    'impcert.origin': origin,
  };
}
