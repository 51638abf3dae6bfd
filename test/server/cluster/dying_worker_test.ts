import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import {
  JanusClient,
  message,
  publish,
  publishForReceipt,
  receiptOf,
} from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import {
  onEachWorker,
  skipWorkers,
  withWorkers,
  workersOf,
} from "../../support/processes/workers.ts";

const runtime = TESTED_RUNTIMES[0] as RuntimeName;

const FILLING = "x".repeat(1_000);

/** One message in so many wants a receipt. */
const RECEIPT_ONE_IN = 5;

/** Publishes messages with its number and theirs, as fast as the server reads them, until it's stopped. */
class Stream {
  readonly client: JanusClient;
  readonly number: number;
  readonly #over: Promise<void>;
  #isStopped = false;
  sent = 0;
  asked = 0;

  constructor(client: JanusClient, number: number) {
    this.client = client;
    this.number = number;
    this.#over = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped && this.client.ended === null) {
      let text = "";
      for (let i = 0; i < 5; i++) {
        const data = { p: this.number, n: this.sent++, FILLING };
        const asks = this.sent % RECEIPT_ONE_IN === 0;
        if (asks) this.asked++;
        text += (asks ? publishForReceipt : publish)(message("t", data));
      }
      // Who has lost its connection can't send any more.
      await Promise.race([this.client.sent(text), quiet(1_000)]);
      await quiet(5);
    }
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#over;
  }
}

/** For each publisher the numbers of its messages that a reader has got, in order. */
function numbersOf(reader: JanusClient): Map<number, number[]> {
  const numbers = new Map<number, number[]>();
  for (const frame of reader.frames) {
    const [, p, n] = /"p":(\d+),"n":(\d+)/.exec(frame) ?? [];
    if (!numbers.has(Number(p))) numbers.set(Number(p), []);
    numbers.get(Number(p))!.push(Number(n));
  }
  return numbers;
}

function assertCountsUp(numbers: readonly number[], what: string): void {
  const gap = numbers.findIndex((number, i) => number !== i);
  assertEquals(numbers[gap], gap === -1 ? undefined : gap, what);
}

describe(`three workers on ${runtime}, one of which dies under load`, { skip: skipWorkers }, () => {
  it("lose no message of the others' publishers, nor their order, and no receipt is false", {
    timeout: 60_000,
  }, async () => {
    await withWorkers(runtime, 3, async (server, target) => {
      const pids = workersOf(server);
      const victim = pids[1] as number;
      const readers = await onEachWorker(pids, target, () => JanusClient.subscribed(target, "t"));
      const senders = await onEachWorker(pids, target, () => JanusClient.greeted(target), 2);
      const doomed = new Set([...readers.on(victim), ...senders.on(victim)]);
      const kept = readers.clients.filter((client) => !doomed.has(client));
      const streams = senders.clients.map((client, number) => new Stream(client, number));
      await until("messages flow", () => kept.every(({ frames }) => frames.length > 1_000));
      process.kill(victim, "SIGKILL");
      await until("its clients are cut off", () => {
        return [...doomed].every(({ ended }) => ended !== null);
      });
      await until("another worker has joined", () => {
        const now = workersOf(server);
        return now.length === 3 && !now.includes(victim);
      });
      await quiet(300);
      for (const stream of streams) await stream.stop();
      const survivors = streams.filter(({ client }) => !doomed.has(client));
      for (const survivor of survivors) {
        const { client, asked } = survivor;
        assertEquals(client.ended, null);
        // On a busy machine it has been silent for so long that it's asked for a sign of life.
        const receipts = () => client.frames.filter((frame) => frame !== "PING");
        await until("its receipts come", () => receipts().length === asked);
        for (const { matched, written, queued, evicted } of receipts().map(receiptOf)) {
          assertEquals(matched, written + queued + evicted);
          assertEquals(evicted, 0);
          // A worker that shows no sign of life for a second, as on a busy machine, is left out.
          assertLessOrEqual(matched, readers.clients.length);
        }
        const last = { p: survivor.number, n: survivor.sent++, FILLING };
        client.send(publishForReceipt(message("t", last)));
        await until("the last receipt comes", () => receipts().length === asked + 1);
        assertEquals(receiptOf(receipts().at(-1)!).matched, kept.length);
      }
      for (const reader of kept) {
        assertEquals(reader.ended, null);
        for (const { sent, number } of survivors) {
          const last = `"p":${number},"n":${sent - 1},`;
          await until(
            "it has the last ones",
            () => reader.frames.findLast((f) => f.includes(last)) !== undefined,
          );
        }
        for (const [p, numbers] of numbersOf(reader)) assertCountsUp(numbers, `of publisher ${p}`);
      }
      assert(survivors.length < streams.length);
      for (const client of [...readers.clients, ...senders.clients]) await client.dispose();
    });
  });
});
