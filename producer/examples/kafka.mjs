// The express handler of Iamport's guide: in place of its calls to Iamport, it publishes the imp_uid. Listens on PORT.
import express from "express";
import { Kafka, Partitioners } from "kafkajs";

const { IMPCERT_KAFKA_BROKERS, IMPCERT_TOPIC: topic = "certifications", PORT = "3000" } = process.env;
const kafka = new Kafka({ brokers: IMPCERT_KAFKA_BROKERS.split(","), requestTimeout: 5000, retry: { retries: 2 } });
const createPartitioner = Partitioners.DefaultPartitioner; // as in Java and in impcert: one imp_uid, one partition
const producer = kafka.producer({ createPartitioner, allowAutoTopicCreation: false });
await producer.connect();
const app = express();
app.post("/certifications", express.json(), async (req, res) => {
  const imp_uid = req.body?.imp_uid;
  if (!/^"[\w-]{1,64}"$/.test(JSON.stringify(imp_uid))) return res.status(400).json({ detail: "no valid imp_uid" });
  const messages = [{ key: imp_uid, value: JSON.stringify({ imp_uid }) }];
  await producer.send({ topic, messages, acks: -1, timeout: 5000 }).then(
    () => res.status(202).json({ imp_uid, status: "queued" }),
    (error) => res.status(503).json({ detail: `not queued, try again: ${error.message}` }),
  );
});
app.listen(PORT, "127.0.0.1", function (error) { if (error) throw error; console.log("port", this.address().port); });
