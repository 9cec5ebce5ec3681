// The settings of both workers, from the environment. A missing one ends the process.

import { readFileSync } from 'node:fs';

export function readSettings() {
  return {
    brokers: required('IMPCERT_KAFKA_BROKERS').split(','),
    topic: required('IMPCERT_TOPIC'),
    group: required('IMPCERT_GROUP'),
    inFlight: Number(process.env.IMPCERT_IN_FLIGHT || 512),
    url: required('IAMPORT_URL').replace(/\/+$/, ''),
    key: required('IAMPORT_KEY'),
    secret: required('IAMPORT_SECRET'),
    ca: process.env.IMPCERT_CA_FILE ? readFileSync(process.env.IMPCERT_CA_FILE) : undefined,
    mongodb: required('MONGODB_URI'),
    database: required('MONGODB_DATABASE'),
    collection: process.env.MONGODB_COLLECTION || 'certifications',
  };
}

function required(name) {
  const value = process.env[name];
  if (!value) fatal(new Error(`${name} is not set`));
  return value;
}

export function fatal(error) {
  console.error(error);
  process.exit(1);
}
