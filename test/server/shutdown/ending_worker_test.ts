import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { errorOf, JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { onEachWorker, skipWorkers, workersOf } from "../../support/processes/workers.ts";

const runtime = TESTED_RUNTIMES[0] as RuntimeName;

/** Messages that are published while it hangs, to a topic each: the kernel keeps some, and can't keep others. */
const LOADS = { little: { count: 50, bytes: 100 }, much: { count: 100, bytes: 20_000 } };
type Load = keyof typeof LOADS;

const timeout = 60_000;

function publishLoad(publisher: JanusClient, load: Load): void {
  const { count, bytes } = LOADS[load];
  const filling = "x".repeat(bytes);
  for (let n = 0; n < count; n++) publisher.send(publish(message(load, { n, filling })));
}

/** Of what was published as a load, the numbers that a client has received, in order. */
function numbersOf({ frames }: JanusClient, load: Load): number[] {
  return frames.flatMap((frame) => {
    const { topic, data } = JSON.parse(frame) as { topic?: string; data: { n: number } };
    return topic === load ? [data.n] : [];
  });
}

function allOf(load: Load): number[] {
  return Array.from({ length: LOADS[load].count }, (_, n) => n);
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A server with three workers, and a subscriber to all loads and a publisher on each. */
async function withClients(
  body: (
    server: ServerCommand,
    pids: readonly [number, number, number],
    on: (pid: number) => { readers: readonly JanusClient[]; publisher: JanusClient },
  ) => Promise<void>,
): Promise<void> {
  const flags = ["--workers", "3", "--log-level", "error"];
  const server = await ServerCommand.listening(runtime, flags);
  const pids = workersOf(server) as [number, number, number];
  try {
    const readers = await onEachWorker(pids, server, async () => {
      const reader = await JanusClient.subscribed(server, "little");
      reader.send('{"action":"subscribe","data":"much"}\0');
      assertEquals(await reader.frame(), "ACK");
      return reader;
    });
    const publishers = await onEachWorker(pids, server, () => JanusClient.greeted(server));
    await body(server, pids, (pid) => {
      return { readers: readers.on(pid), publisher: publishers.on(pid)[0]! };
    });
    for (const client of [...readers.clients, ...publishers.clients]) await client.dispose();
  } finally {
    for (const pid of pids) if (isThere(pid)) process.kill(pid, "SIGCONT");
    if (!server.hasExited) server.signal("SIGTERM");
    await server.exited();
  }
}

/** Waits for what is published as these loads; it must have come in order, once. */
async function assertHas(reader: JanusClient, loads: readonly Load[]): Promise<void> {
  const count = loads.reduce((sum, load) => sum + LOADS[load].count, 0);
  await until("it has all, or is gone", () => {
    return reader.frames.length >= count || reader.ended !== null;
  });
  for (const load of loads) assertEquals(numbersOf(reader, load), allOf(load));
}

describe(`while a worker hangs, on ${runtime}`, { skip: skipWorkers }, () => {
  it("another one that is asked to end stays for what it owes it", { timeout }, async () => {
    await withClients(async (server, [ending, hanging], on) => {
      process.kill(hanging, "SIGSTOP");
      publishLoad(on(ending).publisher, "much");
      await assertHas(on(ending).readers[0]!, ["much"]);
      process.kill(ending, "SIGTERM");
      // Longer than the other one gives it to say that it's alive.
      await quiet(2_500);
      process.kill(hanging, "SIGCONT");
      for (const reader of on(hanging).readers) await assertHas(reader, ["much"]);
      await until("it has ended", () => !isThere(ending));
      assert(!server.stderr.includes("dropped"), server.stderr);
    });
  });

  it("a server that is asked to end stays for what it owes it", { timeout }, async () => {
    await withClients(async (server, [first, second, hanging], on) => {
      process.kill(hanging, "SIGSTOP");
      publishLoad(on(first).publisher, "little");
      publishLoad(on(second).publisher, "much");
      for (const pid of [first, second]) await assertHas(on(pid).readers[0]!, ["little", "much"]);
      server.signal("SIGTERM");
      // Longer than all together are given until they tell their clients.
      await quiet(4_000);
      process.kill(hanging, "SIGCONT");
      for (const reader of on(hanging).readers) {
        await assertHas(reader, ["little", "much"]);
        const { how, frames } = await reader.closed();
        assertEquals([how, errorOf(frames.at(-1)).code], ["fin", "server_shutdown"]);
      }
      const { status, stderr } = await server.exited();
      assertEquals([status, stderr.includes("dropped")], [0, false], stderr);
    });
  });
});
