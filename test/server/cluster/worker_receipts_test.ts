import { assert, assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import {
  isWholeReceipt,
  JanusClient,
  message,
  publishForReceipt,
  receiptOf,
} from "../../support/clients/janus_client.ts";
import type { Target } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

function subscribers(target: Target, count: number): Promise<JanusClient[]> {
  return Promise.all(Array.from({ length: count }, () => JanusClient.subscribed(target, "t")));
}

function publishers(target: Target, count: number): Promise<JanusClient[]> {
  return Promise.all(Array.from({ length: count }, () => JanusClient.greeted(target)));
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a receipt on ${runtime} with workers`, { skip: skipWorkers }, () => {
    it("counts the subscribers of all workers, on whichever its publisher is", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 3, async (_, target) => {
        const readers = await subscribers(target, 30);
        const senders = await publishers(target, 8);
        let whole = 0;
        for (let round = 1; round <= 20; round++) {
          for (const sender of senders) sender.send(publishForReceipt(message("t")));
          for (const sender of senders) {
            if (isWholeReceipt(await sender.frame(), readers.length)) whole++;
          }
        }
        assertGreater(whole, 0);
        for (const reader of readers) await reader.next(20 * senders.length);
        // Once they have taken it, nothing of the next one waits for long either.
        const [sender] = senders as [JanusClient];
        await until("all is written", () => {
          sender.send(publishForReceipt(message("t")));
          return sender.frames.some((frame) => receiptOf(frame).written === 30);
        });
        for (const client of [...readers, ...senders]) await client.dispose();
      });
    });

    it("counts no subscriber of a worker that dies before it has told", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const readers = await subscribers(target, 30);
        const senders = await publishers(target, 12);
        const [victim] = workersOf(server) as [number];
        process.kill(victim, "SIGSTOP");
        for (const sender of senders) sender.send(publishForReceipt(message("t")));
        await until("the other worker's have the first message", () => {
          return readers.some((reader) => reader.frames.length > 0);
        });
        process.kill(victim, "SIGKILL");
        for (const client of [...senders, ...readers]) {
          await until("it has its frame or has lost its connection", () => {
            return client.frames.length > 0 || client.ended !== null;
          });
        }
        const survivors = senders.filter((sender) => sender.frames.length > 0);
        const kept = readers.filter((reader) => reader.frames.length > 0);
        assertNotEquals(survivors.length, 0);
        assert(kept.length < readers.length, "no client was on the worker that was killed");
        for (const sender of survivors) {
          const { matched, written, queued, evicted } = receiptOf(await sender.frame());
          assertEquals([matched, written + queued, evicted], [kept.length, kept.length, 0]);
        }
        for (const reader of kept) await reader.next(survivors.length);
        for (const client of [...readers, ...senders]) await client.dispose();
      });
    });
  });
}
