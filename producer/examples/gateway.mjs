// The express handler of Iamport's guide: in place of its calls to Iamport, it has impcert-gateway at GATEWAY_URL
// queue the imp_uid. Listens on PORT.
import express from "express";

const { GATEWAY_URL = "http://127.0.0.1:8080", PORT = "3000" } = process.env;
const app = express();
app.post("/certifications", express.json(), async (req, res) => {
  const body = JSON.stringify({ imp_uid: req.body?.imp_uid });
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  try {
    const answer = await fetch(`${GATEWAY_URL}/certifications`, { ...request, signal: AbortSignal.timeout(10000) });
    if (![202, 400].includes(answer.status)) throw new Error(`${answer.status}: ${await answer.text()}`);
    res.status(answer.status).json(await answer.json());
  } catch (error) {
    console.error(`not queued: ${error.message}`);
    res.status(503).json({ detail: "not queued, try again" });
  }
});
app.listen(PORT, "127.0.0.1", function (error) { if (error) throw error; console.log("port", this.address().port); });
