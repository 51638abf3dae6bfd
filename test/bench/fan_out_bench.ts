/**
 * What topics and sessions cost, without sockets: the in-memory runtime takes every write at once.
 *
 * @module
 */

import { encodePublish, encodeSubscribe, REGULAR_SOCKET } from "../../protocol/client_encoder.ts";
import { TimestampIssuer } from "../../protocol/timestamp.ts";
import { completeLimits } from "../../server/serve.ts";
import { Server } from "../../server/server.ts";
import type { Lag, Subscriber } from "../../server/topics/subscriber.ts";
import { join } from "../support/bytes.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";
import { MemoryRuntime } from "../support/memory/memory_runtime.ts";
import { topicsInMemory } from "../support/memory/topics_in_memory.ts";
import type { Case } from "./cases.ts";

const SUBSCRIBERS = 10_000;
const PUBLISHES = 1_000;
const MESSAGE = new TextEncoder().encode(
  '{"topic":"events","event":"test_event","message_id":"","data":"test"}',
);

/** Takes everything, and counts it. */
class Sink implements Subscriber {
  readonly hasUnsent = false;
  readonly takesMore = true;
  readonly unsentBytes = 0;
  bytes = 0;
  fallBehind(): void {}
  deliver(chunk: { readonly bytes: Uint8Array }): Lag {
    this.bytes += chunk.bytes.length;
    return "keeps_up";
  }
}

function subscribeCase(): Case {
  const { topics: registry } = topicsInMemory(new MemoryRuntime({ turns: "manual" }));
  const sinks = Array.from({ length: SUBSCRIBERS }, () => new Sink());
  return {
    name: `subscribe ${SUBSCRIBERS} to one topic and unsubscribe them`,
    unit: "subscriber",
    count: SUBSCRIBERS,
    run() {
      const subscriptions = sinks.map((sink) => registry.subscribe("events", sink));
      for (const each of subscriptions) each.topic.unsubscribe(each, true);
      if (registry.size !== 0) throw new Error("the topic is still there");
    },
  };
}

function passCase(publishes: number): Case {
  const net = new MemoryRuntime({ turns: "manual", writesPerTurn: 256 });
  // As in a server, what was passed on is stored.
  const { topics: registry, origins } = topicsInMemory(net, { history: { historyMs: 60_000 } });
  const sink = new Sink();
  for (let i = 0; i < SUBSCRIBERS; i++) registry.subscribe("events", sink);
  const topic = registry.find("events");
  const issuer = new TimestampIssuer();
  return {
    name: `a pass of ${publishes} collected messages over ${SUBSCRIBERS} subscriptions`,
    unit: "subscriber",
    count: SUBSCRIBERS,
    run() {
      sink.bytes = 0;
      for (let i = 0; i < publishes; i++) topic?.publish(origins.own, issuer.next(), MESSAGE);
      net.settle();
      if (sink.bytes < SUBSCRIBERS * publishes * MESSAGE.length) throw new Error("bytes are lost");
    },
  };
}

/** A server with subscribers that have their ACK, and a publisher. */
async function serverOn(net: MemoryRuntime): Promise<MemoryPeer> {
  const limits = completeLimits({
    maxConnections: 1_000_000,
    // No time passes here, so that nobody gets tokens back.
  });
  const server = new Server(net, limits, { onSessionEnd() {}, onAcceptError() {} });
  const address = await server.listen(net.anywhere);
  const first = join([REGULAR_SOCKET, encodeSubscribe("events")]);
  for (let i = 0; i < SUBSCRIBERS; i++) net.dial(address, { forgets: true }).send(first);
  const publisher = net.dial(address);
  net.settle();
  return publisher;
}

async function serverCase(publishes: number): Promise<Case> {
  const net = new MemoryRuntime({ turns: "manual", writesPerTurn: 256, bufferBytes: 2 ** 24 });
  const publisher = await serverOn(net);
  const frames = join(
    Array.from({ length: publishes }, () => encodePublish(MESSAGE, { pipelined: true })),
  );
  return {
    name: `${publishes} pipelined publishes through the server to ${SUBSCRIBERS} connections`,
    unit: "connection",
    count: SUBSCRIBERS,
    run() {
      publisher.send(frames);
      net.settle();
    },
  };
}

/** The registry's and the fan-out's cases. */
export async function fanOutCases(): Promise<readonly Case[]> {
  return [
    subscribeCase(),
    passCase(1),
    passCase(PUBLISHES),
    await serverCase(1),
  ];
}
