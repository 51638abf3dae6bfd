// Publishes each line of standard input, and says whom it reached.
//
//   node examples/publisher.mjs hotwheels://localhost:8081 events

import process from "node:process";
import { createInterface } from "node:readline";
import { connect, OutcomeUnknownError } from "hotwheels/client";

const [url = "hotwheels://localhost:8081", topic = "events"] = process.argv.slice(2);

const hotwheels = await connect(url);
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { matched } = await hotwheels.publish({ topic, data: line }, { offline: "wait" });
    console.log(`${matched} subscribers: ${line}`);
  } catch (error) {
    if (!(error instanceof OutcomeUnknownError)) throw error;
    // Only you know whether your subscribers may get it twice.
    console.log(`perhaps nobody: ${line}`);
  }
}
await hotwheels.close();
