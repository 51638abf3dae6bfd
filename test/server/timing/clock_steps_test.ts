import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { findProgram } from "../../../cli/program.ts";
import { Checkout } from "../../support/processes/checkout.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { SettableClock, skipSetting } from "../../support/processes/settable_clock.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const HOUR_S = 3_600;

/** Each runtime's run looks at its own server. */
const runtime = "Bun" in globalThis ? "bun" : "deno";

/** The timestamp of a frame, in microseconds since 1970. */
function microsOf(frame: string): number {
  const [mega, seconds, micros] = (JSON.parse(frame) as { timestamp: number[] }).timestamp;
  return (mega! * 1e6 + seconds!) * 1e6 + micros!;
}

/** Publishes, and has the timestamps of what comes back, one after the other. */
class Stamps {
  readonly #client: JanusClient;
  readonly all: number[] = [];

  constructor(client: JanusClient) {
    this.#client = client;
  }

  async next(): Promise<number> {
    this.#client.send(publish(message("t")));
    const micros = microsOf(await this.#client.frame());
    this.all.push(micros);
    return micros;
  }

  /** By how many seconds the next one is ahead of this machine's clock. */
  async ahead(): Promise<number> {
    return await this.next() / 1e6 - Date.now() / 1000;
  }

  /** Waits until it's about so many seconds ahead. */
  async untilAhead(seconds: number): Promise<void> {
    const endMs = performance.now() + 15_000;
    for (let ahead = await this.ahead(); Math.abs(ahead - seconds) > 30;) {
      assert(performance.now() < endMs, `timestamps are ${ahead} s ahead of the machine's clock`);
      await quiet();
      ahead = await this.ahead();
    }
  }
}

describe(`a system clock that is set while ${runtime} serves`, { skip: skipSetting }, () => {
  it("is followed by the timestamps, forward at once and back by standing nearly still", {
    timeout: 60_000,
  }, async () => {
    const clock = new SettableClock();
    const command = [...clock.prefix, ...directCommand(runtime)];
    const server = await ServerCommand.listening(runtime, [], command);
    try {
      const client = await JanusClient.subscribed(server, "t");
      const stamps = new Stamps(client);
      await stamps.untilAhead(0);
      clock.setAhead(HOUR_S);
      await stamps.untilAhead(HOUR_S);
      await until("it's in the log", () => server.stderr.includes("timestamps follow\n"));
      assertMatch(
        server.stderr,
        /clock was set forward by 3(600\.\d|599\.9) s: timestamps follow\n/,
      );

      clock.setAhead(0);
      await until("it's in the log", () => server.stderr.includes("is restarted\n"));
      assertMatch(server.stderr, /clock was set back, 3[56]\d\d\.\d s behind the timestamps: /);
      const first = await stamps.next();
      await quiet();
      assertEquals(await stamps.next(), first + 1);

      // Once it has caught up all is as ever.
      clock.setAhead(HOUR_S + 60);
      await stamps.untilAhead(HOUR_S + 60);
      await until("it's in the log", () => server.stderr.includes("agree with the system's"));
      const before = await stamps.next();
      await quiet();
      assertGreater(await stamps.next(), before + 10_000);
      stamps.all.forEach((micros, i) => i > 0 && assertLess(stamps.all[i - 1]!, micros));
      await client.dispose();
    } finally {
      await server.dispose();
      clock.dispose();
    }
  });

  it("is followed on all workers alike, and a new one agrees with the others", {
    timeout: 60_000,
    skip: skipWorkers,
  }, async () => {
    const clock = new SettableClock();
    const checkout = new Checkout("npm");
    // Workers get next to nothing of the environment: here, the clock too.
    const child = join(checkout.folder, "cli/child.ts");
    const text = readFileSync(child, "utf8");
    const passing = text.replace('"LD_LIBRARY_PATH"]', '"LD_PRELOAD", "SETTABLE_CLOCK"]');
    assert(passing !== text);
    writeFileSync(child, passing);
    const flags = runtime === "deno" ? ["--no-prompt", "-A", "--unstable-net"] : [];
    const main = join(checkout.folder, "server/main.ts");
    const command = [...clock.prefix, findProgram(runtime).path, "run", ...flags, main];
    const server = await ServerCommand.listening(runtime, ["--workers", "2"], command);
    const clients: JanusClient[] = [];
    /** By how much the messages of new publishers, some on each worker, are ahead of this machine's clock. */
    const aheadOnAll = async () => {
      const reader = await JanusClient.subscribed(server, "t");
      clients.push(reader);
      const aheads: number[] = [];
      for (let i = 0; i < 12; i++) {
        const publisher = await JanusClient.greeted(server);
        clients.push(publisher);
        publisher.send(publish(message("t")));
        aheads.push(Math.round(microsOf(await reader.frame()) / 1e6 - Date.now() / 1000));
      }
      return [Math.min(...aheads), Math.max(...aheads)] as const;
    };
    const untilAheadOnAll = async () => {
      const endMs = performance.now() + 15_000;
      for (let [least, most] = await aheadOnAll(); least < HOUR_S - 30 || most > HOUR_S + 30;) {
        assert(performance.now() < endMs, `timestamps are ${least} to ${most} s ahead`);
        [least, most] = await aheadOnAll();
      }
    };
    try {
      clock.setAhead(HOUR_S);
      await untilAheadOnAll();
      clock.setAhead(0);
      await until("it's in the log", () => server.stderr.includes("is restarted\n"));
      await untilAheadOnAll();
      // One line for all.
      assertEquals(server.stderr.split("set back, ").length, 2);
      process.kill(workersOf(server)[0]!, "SIGKILL");
      await until("a new one has joined", () => server.stderr.includes("has joined"));
      const [least, most] = await aheadOnAll();
      assert(least >= HOUR_S - 30 && most <= HOUR_S + 30, `${least} to ${most} s ahead`);
    } finally {
      for (const client of clients) await client.dispose();
      await server.dispose();
      checkout.dispose();
      clock.dispose();
    }
  });
});
