/**
 * Plays several clients to a server in memory, and holds what each gets against the model.
 *
 * @module
 */

import { changedRuntime } from "../support/changed_runtime.ts";
import { assert, assertEquals, assertGreater } from "@std/assert";
import type { ConnectionHandler, Runtime } from "../../runtime/types.ts";
import type { SessionEnd } from "../../server/session/session_end.ts";
import { delivered, errorOf, GREETING, unstamp } from "../support/clients/janus_client.ts";
import { MemoryBed } from "../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";
import { latin1 } from "../protocol/client_stream.ts";
import { type Happening, type ModelClient, modelClients } from "./server_model.ts";

/** A client's next step. */
export type Step =
  /** Sends the next so many bytes of its stream. */
  | { readonly client: number; readonly does: "send"; readonly bytes: number }
  /** Reads so many bytes, although it's stalled. */
  | { readonly client: number; readonly does: "take"; readonly bytes: number }
  | { readonly client: number; readonly does: "stall" | "flow" | "end" | "reset" }
  /** Nobody does anything for so many turns of the loop. */
  | { readonly client: number; readonly does: "wait"; readonly turns: number };

/** The events of a server. */
export interface Scenario {
  /** All that each client will send, bytes as Latin-1; what no step sends comes in the end. */
  readonly streams: readonly string[];
  /** The bytes that fit between the server and each client. */
  readonly bufferBytes: readonly number[];
  readonly answers: "at once" | "late";
  readonly writesPerTurn: number;
  readonly steps: readonly Step[];
}

/** Small, so that streams pass them; larger than any outbox of a scenario is what may wait. */
const LIMITS = {
  maxFrameBytes: 160,
  maxTopics: 3,
  maxTopicsTotal: 5,
  pingAfterMs: 500,
  idleMs: 500,
};

/** Longer than any silence that the server bears, or a publisher may linger. */
const LONG_SILENCE_MS = 2_500;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Plays a scenario. @throws {AssertionError} where a client gets something else than it must. */
export async function play(scenario: Scenario): Promise<void> {
  const { answers, writesPerTurn } = scenario;
  const happenings: Happening[] = [];
  const bed: MemoryBed = await MemoryBed.start(
    LIMITS,
    { answers, writesPerTurn },
    (runtime) => watched(runtime, happenings, () => bed.ended),
  );
  const peers = scenario.bufferBytes.map((bufferBytes) => bed.dial({ bufferBytes }));
  const streams = scenario.streams.map(latin1);
  const left = new Set<number>();
  for (const { client, ...step } of scenario.steps) {
    const peer = peers[client]!;
    if (step.does === "wait") {
      for (let turn = 0; turn < step.turns; turn++) bed.net.turn();
    } else if (step.does === "stall" || step.does === "flow") peer[step.does]();
    else if (step.does === "take") peer.take(step.bytes);
    else if (!left.has(client)) {
      if (step.does === "send") streams[client] = sendSome(peer, streams[client]!, step.bytes);
      else {
        peer[step.does]();
        left.add(client);
      }
    }
  }
  for (const [i, peer] of peers.entries()) {
    if (!left.has(i)) sendSome(peer, streams[i]!, Infinity);
    peer.flow();
  }
  bed.net.settle();

  const clients = modelClients(happenings, LIMITS);
  const stamps = new Map<number, number>();
  for (const [i, client] of clients.entries()) {
    const peer = peers[i]!;
    const wasReset = scenario.steps.some((step) => step.client === i && step.does === "reset");
    assertGot(client, peer, wasReset && left.has(i), stamps);
  }
  const gone = new Set(left);
  clients.forEach(({ isOpen }, i) => isOpen || gone.add(i));
  const heardBytes = peers.map(({ received }) => received.length);
  bed.pass(LONG_SILENCE_MS);
  for (const [i, client] of clients.entries()) {
    if (!gone.has(i)) assertSilenceEnds(client, peers[i]!, heardBytes[i]!);
  }
  const inOrder = [...stamps].sort(([a], [b]) => a - b).map(([, micros]) => micros);
  for (let i = 1; i < inOrder.length; i++) assertGreater(inOrder[i]!, inOrder[i - 1]!);
  // All that waited has gone, so nothing is held but frames that aren't complete.
  for (const peer of peers) peer.reset();
  bed.net.settle();
  const { connections, subscriptions } = bed.server.counters;
  assertEquals([connections, subscriptions, bed.server.topicCount], [0, 0, 0]);
  assertEquals(bed.server.heldBytes, 0);
}

function sendSome(peer: MemoryPeer, stream: Uint8Array, bytes: number): Uint8Array {
  if (stream.length > 0 && bytes > 0) peer.send(stream.subarray(0, bytes));
  return stream.subarray(Math.min(bytes, stream.length));
}

/** A runtime that writes down, in order, what it tells the server. */
function watched(
  runtime: Runtime,
  happenings: Happening[],
  ended: () => readonly SessionEnd[],
): Runtime {
  let connections = 0;
  return changedRuntime(runtime, {
    listen: (options, accept) =>
      runtime.listen(options, (connection): ConnectionHandler => {
        const client = connections++;
        happenings.push({ client, what: "connect" });
        const handler = accept(connection);
        return {
          onSecure: () => handler.onSecure?.(),
          onData(chunk) {
            const bytes = chunk.slice();
            const index = happenings.push({ client, what: "data", bytes, isRefused: false }) - 1;
            const before = ended().length;
            handler.onData(chunk);
            const isRefused = ended()[before]?.reason === "bad_message";
            happenings[index] = { client, what: "data", bytes, isRefused };
          },
          onDrain: () => handler.onDrain(),
          onEnd() {
            happenings.push({ client, what: "end" });
            handler.onEnd();
          },
          onClose(why, cause) {
            happenings.push({ client, what: "close" });
            handler.onClose(why, cause);
          },
        };
      }),
  });
}

/** Holds what a client got against the model; one that reset the connection may have got less. */
function assertGot(
  client: ModelClient,
  peer: MemoryPeer,
  wasReset: boolean,
  stamps: Map<number, number>,
): void {
  const frames = decoder.decode(peer.received).split("\x01");
  const partial = frames.pop();
  const told = () => JSON.stringify({ got: frames, client: { ...client, due: [...client.due] } });
  if (!wasReset) assertEquals(partial, "", "it got part of a frame");
  if (!wasReset || frames.length > 0) assert(GREETING.test(frames[0] ?? ""), "no greeting");
  let acks = 0;
  let hasError = false;
  for (const frame of frames.slice(1)) {
    assert(!hasError, `something came behind the error: ${told()}`);
    if (frame === "ACK") {
      acks++;
      continue;
    }
    const { micros, rest } = unstamp(frame);
    const queue = [...client.due.values()].find(([next]) =>
      next !== undefined && delivered(decoder.decode(next.message)) === rest
    );
    if (queue !== undefined) {
      const { number, behindAcks } = queue.shift()!;
      assert(acks >= behindAcks, `a message came before its ACK: ${told()}`);
      assertEquals(stamps.get(number) ?? micros, micros, "one message has two timestamps");
      stamps.set(number, micros);
      continue;
    }
    const receipt = receiptOf(rest);
    if (receipt !== undefined && client.receipts.length > 0) {
      const { matched, number } = client.receipts.shift()!;
      assertEquals(receipt.matched, matched);
      assertEquals(receipt.written + receipt.queued + receipt.evicted, matched);
      assertEquals(stamps.get(number) ?? micros, micros, "a receipt has another timestamp");
      stamps.set(number, micros);
      continue;
    }
    hasError = true;
    assertEquals(errorOf(frame)?.code, client.error, `neither due nor an error: ${told()}`);
  }
  if (wasReset) return;
  assertEquals(acks, client.acks, "ACKs");
  for (const queue of client.due.values()) assertEquals(queue, [], `not all came: ${told()}`);
  // Whoever ends, or is ended, need not get the receipts that are still to come.
  if (client.isOpen) assertEquals(client.receipts, [], "receipts");
  assertEquals(hasError, client.error !== undefined, `the error: ${told()}`);
  assertEquals(peer.ended, !client.isOpen, `the end: ${told()}`);
}

/** Holds against the model what becomes of a client that says nothing more. */
function assertSilenceEnds(client: ModelClient, peer: MemoryPeer, heardBytes: number): void {
  const frames = decoder.decode(peer.received.subarray(heardBytes)).split("\x01");
  assertEquals(frames.pop(), "", "it got part of a frame");
  const told = () => JSON.stringify({ frames, client: { ...client, due: [...client.due] } });
  const isKept = client.isLegacy && client.subscriptions.size > 0 && !client.awaitsTerminator;
  assertEquals(peer.ended, !isKept, `the end: ${told()}`);
  // Of 2009 it's asked once, and only where a message came for it.
  const pings = frames.filter((frame) => frame === "PING").length;
  const mayBeAsked = !client.awaitsTerminator &&
    (!client.isLegacy || isKept && client.due.size > 0);
  assert(pings <= (mayBeAsked ? 1 : 0), `the PING: ${told()}`);
  const others = frames.filter((frame) => frame !== "PING");
  const isTold = !client.isLegacy && !client.awaitsTerminator;
  assertEquals(others.length, isTold ? 1 : 0, `what it's told: ${told()}`);
  if (isTold) assertEquals(errorOf(others[0]).code, "idle_timeout");
}

interface Receipt {
  readonly matched: number;
  readonly written: number;
  readonly queued: number;
  readonly evicted: number;
}

function receiptOf(rest: string): Receipt | undefined {
  const match = /^\{"timestamp":TS,"receipt":(\{[^{}]*\})\}$/.exec(rest);
  return match === null ? undefined : JSON.parse(match[1]!) as Receipt;
}
