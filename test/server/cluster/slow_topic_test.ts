import { assertLess } from "@std/assert";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { peersOf } from "../../../tools/soak/checks/peers.ts";
import {
  JanusClient,
  message,
  publish,
  subscribe,
  type Target,
} from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import {
  onEachWorker,
  skipWorkers,
  withWorkers,
  workersOf,
} from "../../support/processes/workers.ts";

/** Fast enough for a reader not to be given up, and far slower than a publisher. */
const SLOW_BYTES_PER_MS = 2_000;

/** More than it takes while the test lasts, the kernel's buffers and what the server lets wait. */
const FLOOD_BYTES = 40_000_000;

/** Round trips, one after another. They take a second, or three on a busy machine; the slow reader takes twenty. */
const ROUND_TRIPS = 200;

interface SlowReader {
  readonly socket: Socket;
  byteCount: number;
}

/** A subscriber of `x` on a worker, which pauses behind each piece for as long as that is worth. */
async function slowReaderOn(pid: number, { hostname, port }: Target): Promise<SlowReader> {
  for (;;) {
    const socket = connect({ host: hostname, port });
    const reader: SlowReader = { socket, byteCount: 0 };
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      reader.byteCount += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), chunk.length / SLOW_BYTES_PER_MS);
    });
    await until("it's greeted", () => reader.byteCount > 0);
    if ((await peersOf(pid, port)).includes(socket.localPort as number)) {
      const greetedBytes = reader.byteCount;
      socket.write(subscribe("x"));
      await until("it's subscribed", () => reader.byteCount > greetedBytes);
      return reader;
    }
    socket.destroy();
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`with workers on ${runtime}`, { skip: skipWorkers }, () => {
    it("a slow reader of one topic delays no other topic", { timeout: 60_000 }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const pids = workersOf(server);
        const [here, there] = pids as [number, number];
        const slow = await slowReaderOn(there, target);
        const readers = await onEachWorker(
          pids,
          target,
          () => JanusClient.subscribed(target, "y"),
        );
        const publishers = await onEachWorker(pids, target, () => JanusClient.greeted(target), 2);
        const [flood, publisher] = publishers.on(here) as [JanusClient, JanusClient];
        const [reader] = readers.on(there) as [JanusClient];
        const filling = "x".repeat(50_000);
        for (let sent = 0; sent < FLOOD_BYTES; sent += filling.length) {
          flood.send(publish(message("x", filling)));
        }
        await quiet(1_000);
        for (let count = 0; count < ROUND_TRIPS; count++) {
          publisher.send(publish(message("y")));
          await reader.frame();
        }
        assertLess(slow.byteCount, FLOOD_BYTES, "y's messages waited until x's reader had all");
        slow.socket.destroy();
        for (const { clients } of [readers, publishers]) {
          for (const client of clients) await client.dispose();
        }
      });
    });
  });
}
