import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import type { ServerProcess } from "../../tools/harness/server_process.ts";
import { KIB, MIB } from "../support/attacks/attack_bed.ts";
import { Bystander } from "../support/attacks/bystander.ts";
import { Fixture } from "../support/processes/fixture.ts";
import {
  isWholeReceipt,
  JanusClient,
  message,
  publish,
  publishForReceipt,
  type Target,
} from "../support/clients/janus_client.ts";
import type { FloodState } from "../support/attacks/receipt_flooder.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { quiet, until } from "../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../support/processes/workers.ts";

/** Milliseconds of a flood, and receipts in them, before the server is asked to stop. */
const FLOOD_MS = 1_000;
const RECEIPTS = 20;

/** Messages of the client that publishes among the flood, one every so many milliseconds. */
const INTERVAL_MS = 20;

/** The most memory that a server's processes had together. */
function peakBytes(server: ServerProcess): number {
  const workers = workersOf(server);
  const files = (workers.length === 0 ? [server.pid] : workers).map((pid) => `/proc/${pid}/status`);
  const { stdout } = spawnSync("cat", files, { encoding: "utf8" });
  return [...stdout.matchAll(/VmHWM:\s*(\d+)/g)].reduce((sum, [, kib]) => sum + Number(kib), 0) *
    KIB;
}

/** Clients that flood a server, in a process of their own. */
class Flood {
  readonly #process: Fixture;

  private constructor(process: Fixture) {
    this.#process = process;
  }

  static async begin({ hostname, port }: Target, connections: number): Promise<Flood> {
    const script = new URL("../support/attacks/receipt_flooder.ts", import.meta.url).pathname;
    const process = new Fixture(script, [hostname, String(port), String(connections)]);
    assertEquals(await process.line(), "begun");
    return new Flood(process);
  }

  async state(): Promise<FloodState> {
    this.#process.send("state");
    return JSON.parse(await this.#process.line()) as FloodState;
  }

  async end(): Promise<void> {
    await this.#process.stop();
  }
}

/** Publishes for a flood's time, and each message when the last one's receipt is there. */
async function askForReceipts(target: Target, workers: number): Promise<void> {
  const readers = await Promise.all([1, 2, 3].map(() => JanusClient.subscribed(target, "asked")));
  const publisher = await JanusClient.greeted(target);
  // What it holds unfinished for a while is what the defence of memory looks for.
  const slow = await JanusClient.greeted(target);
  const large = publish(message("asked", "x".repeat(60_000)));
  slow.send(large.slice(0, -10));
  let receipts = 0;
  let whole = 0;
  const endMs = performance.now() + FLOOD_MS;
  while (receipts < RECEIPTS || performance.now() < endMs) {
    publisher.send(publishForReceipt(message("asked", receipts)));
    if (isWholeReceipt(await publisher.frame(), readers.length)) whole++;
    receipts++;
    await quiet(INTERVAL_MS);
  }
  if (workers === 1) assertEquals(whole, receipts);
  else assertGreater(whole, 0);
  slow.send(large.slice(-10));
  for (const reader of readers) {
    await until(
      "all have come",
      () => reader.frames.some((frame) => frame.includes("xxx")),
      60_000,
    );
    const frames = reader.frames.splice(0).filter((frame) => frame !== "PING");
    const numbers = frames.map((frame) => (JSON.parse(frame) as { data: unknown }).data);
    assertEquals(numbers.slice(0, -1), Array.from({ length: receipts }, (_, i) => i));
  }
  assertEquals([publisher.ended, slow.ended], [null, null]);
  for (const client of [...readers, publisher, slow]) await client.dispose();
}

// Each on itself: the server's processes have the machine's cores to share with the flood.
for (const runtime of TESTED_RUNTIMES) {
  describe(`a flood of messages for receipts on ${runtime}`, { skip: skipWorkers }, () => {
    for (
      const [connections, workers, maxBytes] of [
        [1_000, 1, 900 * MIB],
        [100, 2, 550 * MIB],
      ] as const
    ) {
      it(
        `from ${connections} connections, at a server of ${workers}, costs nobody else anything`,
        {
          timeout: 120_000,
        },
        async () => {
          await withWorkers(runtime, workers, async (server, target) => {
            const bystander = await Bystander.arrive(target, "calm");
            const flood = await Flood.begin(target, connections);
            try {
              await askForReceipts(target, workers);
              await bystander.confirm();
              const { frames, ended } = await flood.state();
              assertEquals(ended, 0);
              assertGreater(frames, 10 * connections);
              assertLess(peakBytes(server) / MIB, maxBytes / MIB);
              await bystander.leave();
              assertEquals(await server.stopped(), 0);
            } finally {
              await flood.end();
            }
          });
        },
      );
    }
  });
}
