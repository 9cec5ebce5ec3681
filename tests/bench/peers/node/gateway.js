// The gateway as one would write it in node: its own HTTP server before kafkajs. Events that come within a millisecond
// go in one request, as with the others. 202 only after acks=all.
import http from "node:http";
import { Kafka, Partitioners, logLevel } from "kafkajs";

const BODY_MOST = 16 * 1024;
const IMP_UID = /^[A-Za-z0-9_-]{1,64}$/;
const topic = process.env.IMPCERT_TOPIC;

const kafka = new Kafka({ brokers: process.env.IMPCERT_KAFKA_BROKERS.split(","), logLevel: logLevel.WARN });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true });

let waiting = [];

function send() {
  const batch = waiting;
  waiting = [];
  producer
    .send({ topic, acks: -1, messages: batch.map((one) => one.message) })
    .then(() => batch.forEach((one) => one.resolve()), (error) => batch.forEach((one) => one.reject(error)));
}

function publish(message) {
  return new Promise((resolve, reject) => {
    if (waiting.push({ message, resolve, reject }) === 1) setTimeout(send, 1);
  });
}

async function body(request) {
  let text = "";
  for await (const piece of request) if ((text += piece).length > BODY_MOST) throw new Error("too large");
  return JSON.parse(text);
}

function answer(response, status, content) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(content));
}

const server = http.createServer(async (request, response) => {
  if (request.method !== "POST" || request.url !== "/certifications") return answer(response, 404, {});
  let imp_uid;
  try {
    ({ imp_uid } = await body(request));
  } catch {}
  if (!IMP_UID.test(imp_uid ?? "")) return answer(response, 400, { error: "imp_uid is missing or not valid" });
  try {
    await publish({ key: imp_uid, value: JSON.stringify({ imp_uid }) });
    answer(response, 202, { imp_uid, status: "queued" });
  } catch {
    answer(response, 503, { error: "not queued" });
  }
});

await producer.connect();
const [host, port] = process.env.IMPCERT_HTTP_LISTEN.split(":");
server.listen(Number(port), host);
