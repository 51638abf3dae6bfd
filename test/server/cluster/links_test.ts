import { assert, assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { Address } from "../../../runtime/types.ts";
import type { UnreachableProcess } from "../../../server/cluster/backplane.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Server } from "../../../server/server.ts";
import { CuttingProxy } from "../../support/network/cutting_proxy.ts";
import {
  isWholeReceipt,
  JanusClient,
  message,
  publish,
  publishForReceipt,
  type Target,
} from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";

/** Two servers in this process that are linked through proxies, as two workers are without. */
class LinkedServers {
  readonly servers: readonly Server[];
  /** The states of their links that they report. */
  readonly unreachable: readonly UnreachableProcess[];
  targets: readonly Target[] = [];
  proxies: readonly CuttingProxy[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "hotwheels-links-"));

  private constructor(servers: readonly Server[], unreachable: readonly UnreachableProcess[]) {
    this.servers = servers;
    this.unreachable = unreachable;
  }

  static async start(nextCut: () => number): Promise<LinkedServers> {
    const unreachable: UnreachableProcess[] = [];
    const onUnreachable = (process: UnreachableProcess) => void unreachable.push(process);
    const servers = [await aServer(onUnreachable), await aServer(onUnreachable)];
    const linked = new LinkedServers(servers, unreachable);
    const paths = servers.map((_, i) => join(linked.#folder, `${i}.sock`));
    for (const [i, server] of servers.entries()) await server.mesh!.listen(paths[i]!);
    linked.proxies = await Promise.all(paths.map((path) => CuttingProxy.inFrontOf(path, nextCut)));
    await Promise.all(servers.map((server, i) => server.mesh!.link(paths[1 - i]!)));
    linked.targets = await Promise.all(servers.map(async (server) => {
      const address = await server.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
      return address as Extract<Address, { transport: "tcp" }>;
    }));
    return linked;
  }

  /** How often one of them seemed to hang for the other, as on a busy machine. */
  get stalls(): number {
    return this.servers.reduce((sum, { counters }) => sum + counters.linkStalls, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.drain()));
    await Promise.all(this.servers.map((server) => server.stop()));
    for (const proxy of this.proxies) await proxy.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function aServer(onUnreachable: (process: UnreachableProcess) => void): Promise<Server> {
  const limits = completeLimits({ maxConnections: 1_000 });
  const events = { onSessionEnd() {}, onAcceptError() {} };
  return new Server(await detectRuntime(), limits, events, { hasMesh: true, onUnreachable });
}

/** The `data` of the messages that a client has received, in order. */
function dataOf(client: JanusClient): string[] {
  return client.frames.map(dataOfFrame);
}

function dataOfFrame(frame: string): string {
  return (JSON.parse(frame) as { data: string }).data;
}

const timeout = 60_000;

describe("a link between processes", () => {
  it("loses nothing and brings nothing twice, wherever it's cut", { timeout }, async () => {
    const seed = Date.now() % 1_000_000_007;
    console.log(`links: seed ${seed}`);
    const sizes = fc.sample(fc.integer({ min: 1, max: 60_000 }), { seed, numRuns: 1_000 });
    let next = 0;
    const linked = await LinkedServers.start(() => sizes[next++ % sizes.length]!);
    const count = 400;
    const text = "x".repeat(500);
    try {
      const { targets, proxies, servers } = linked;
      const readers = await Promise.all(
        targets.flatMap((target) => [0, 1, 2].map(() => JanusClient.subscribed(target, "t"))),
      );
      const publishers = await Promise.all(
        [...targets, ...targets].map((target) => JanusClient.greeted(target)),
      );
      for (let i = 0; i < count; i++) {
        for (const [p, publisher] of publishers.entries()) {
          const sent = message("t", `${p}:${i}:${text}`);
          publisher.send(i % 10 === 9 ? publishForReceipt(sent) : publish(sent));
        }
        if (i % 10 === 0) await sleep(5);
      }
      let leftOut = 0;
      for (const publisher of publishers) {
        for (const receipt of await publisher.next(count / 10)) {
          if (!isWholeReceipt(receipt, readers.length)) leftOut++;
        }
      }
      assert(
        leftOut === 0 || linked.stalls > 0,
        `${leftOut} receipts lack a process that doesn't hang`,
      );
      for (const reader of readers) {
        await until("all messages come", () => reader.frames.length >= count * publishers.length);
        const data = dataOf(reader);
        assertEquals(data.length, count * publishers.length);
        for (const p of publishers.keys()) {
          assertEquals(
            data.filter((one) => one.startsWith(`${p}:`)),
            Array.from({ length: count }, (_, i) => `${p}:${i}:${text}`),
          );
        }
      }
      const cuts = proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
      assertGreater(cuts, 20);
      for (const { counters } of servers) assertGreater(counters.linkFailures, 0);
      assertEquals(linked.unreachable, []);
      for (const client of [...readers, ...publishers]) await client.dispose();
    } finally {
      await linked.stop();
    }
  });

  it("goes on where it's cut before the other process has dialled, too", { timeout }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-links-"));
    const [here, there] = await Promise.all([aServer(() => {}), aServer(() => {})]);
    const path = join(folder, "there.sock");
    const herePath = join(folder, "here.sock");
    await here.mesh!.listen(herePath);
    await there.mesh!.listen(path);
    const proxy = await CuttingProxy.inFrontOf(path, () => Infinity);
    try {
      await here.mesh!.link(path);
      const target = { hostname: "127.0.0.1", port: 0, transport: "tcp" } as const;
      const publisher = await JanusClient.greeted(await here.listen(target) as Target);
      // So much is acknowledged at once.
      for (let i = 0; i < 4; i++) publisher.send(publish(message("t", "x".repeat(40_000))));
      await until("it has arrived", () => there.counters.messagesForwarded >= 3);
      await quiet();
      proxy.cut();
      await until("it's cut", () => here.counters.linkFailures > 0);
      await there.mesh!.link(herePath);
      const reader = await JanusClient.subscribed(await there.listen(target) as Target, "t");
      publisher.send(publish(message("t", "after")));
      assertEquals(dataOfFrame(await reader.frame()), "after");
      for (const client of [reader, publisher]) await client.dispose();
    } finally {
      for (const server of [here, there]) await server.drain();
      for (const server of [here, there]) await server.stop();
      await proxy.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("keeps what is sent while it can't be had, and brings it then", { timeout }, async () => {
    const linked = await LinkedServers.start(() => Infinity);
    try {
      const { targets, proxies } = linked;
      const [here, there] = targets as [Target, Target];
      const reader = await JanusClient.subscribed(there, "t");
      const publisher = await JanusClient.greeted(here);
      for (const proxy of proxies) {
        proxy.isOpen = false;
        proxy.cut();
      }
      for (let i = 0; i < 100; i++) publisher.send(publish(message("t", String(i))));
      publisher.send(publishForReceipt(message("t", "last")));
      await sleep(500);
      assertEquals(reader.frames.length, 0);
      assert(publisher.frames.length === 0 || linked.stalls > 0);
      for (const proxy of proxies) proxy.isOpen = true;
      assert(isWholeReceipt(await publisher.frame(), 1) || linked.stalls > 0);
      await until("all messages come", () => reader.frames.length === 101);
      assertEquals(dataOf(reader), [...Array.from({ length: 100 }, (_, i) => String(i)), "last"]);
      for (const client of [reader, publisher]) await client.dispose();
    } finally {
      await linked.stop();
    }
  });
});
