// Subscribes clients where it's told to, one line of JSON at a time, and reads on for ever.

import process from "node:process";
import { createInterface } from "node:readline";
import { JanusClient } from "../clients/janus_client.ts";

console.log(process.pid);
for await (const line of createInterface({ input: process.stdin })) {
  const { hostname, port, topic, count } = JSON.parse(line);
  for (let i = 0; i < count; i++) {
    const client = await JanusClient.greeted({ hostname, port });
    await client.subscribe(topic);
  }
  console.log("subscribed");
}
