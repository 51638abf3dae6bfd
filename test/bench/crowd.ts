/**
 * A process with many subscribers of one topic, which is published to all the time; a child of
 * `beside.ts`, which tells it where and how many.
 *
 * @module
 */

import process from "node:process";
import { detectRuntime } from "../../runtime/detect.ts";
import { Audience, BenchPublisher, publishFrames } from "./fanout_client.ts";

/** The parent's order. */
export interface CrowdOrder {
  readonly port: number;
  readonly subscribers: number;
}

process.on("message", async ({ port, subscribers }: CrowdOrder) => {
  const runtime = await detectRuntime();
  const audience = new Audience("crowd");
  await audience.join(runtime, port, subscribers);
  const publisher = await BenchPublisher.connect(runtime, port);
  const frames = publishFrames("crowd", 1, 4);
  process.send?.("ready");
  for (;;) await audience.receive(1, () => publisher.publish(frames));
});

process.on("disconnect", () => process.exit());
