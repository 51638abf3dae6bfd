import { assert, assertEquals, assertMatch } from "@std/assert";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import process from "node:process";
import { describe, it } from "node:test";
import type { FaultKind } from "../../../tools/soak/checks/faults.ts";
import type { SoakRun } from "../../../tools/soak/report.ts";
import { soak } from "../../../tools/soak/soak.ts";
import type { SoakPlan } from "../../../tools/soak/soak_plan.ts";
import { join } from "../../support/bytes.ts";
import { withServer } from "../../support/clients/janus_bed.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";

const TERMINATOR = 1;

const LOAD_MS = 4_000;

/** So many subscriptions must come back to tell of a server that is wrong each time, or every other. */
const FEW_RETURNS = 6;

const MOST_TRIES = 5;

const MIB = 1024 * 1024;

/** One message in so many is meddled with. */
const ONE_IN = 50;

/** The faults of a server. */
interface Meddling {
  /** The bytes that are sent in place of a message now and then. */
  readonly meddle?: (message: Uint8Array) => Uint8Array | "cut";
  /** Meddles with all frames that have this text, and with no others. */
  readonly only?: string;
  /** Milliseconds by which all that the server sends is late. */
  readonly delayMs?: number;
  /** Milliseconds after which a connection is cut whose client can come back; twice that at most. */
  readonly cutAfterMs?: number;
  /** What a client that comes back is answered, in place of the server's frame. */
  readonly answer?: (frame: string) => string;
  /** The bytes that are sent in place of the first message that it has missed. */
  readonly replay?: (message: Uint8Array) => Uint8Array;
  /** The most messages of a topic that the server stores. */
  readonly historyMessages?: number;
  /** Nothing that attackers say, or are told, gets through. */
  readonly ignoresAttackers?: boolean;
  /** The milliseconds that a stop took, as the soak is told. */
  readonly stopTakesMs?: number;
}

/** Soaks a server that is behind a relay which meddles with some of what it sends. */
async function soakMeddledWith(
  meddling: Meddling,
  plan: Partial<SoakPlan> = {},
): Promise<SoakRun> {
  const { stopTakesMs } = meddling;
  let run: SoakRun | undefined;
  const { historyMessages = 100_000 } = meddling;
  const limits = { historyMessages, historyBytes: 64 * MIB, historyTotalBytes: 256 * MIB };
  await withServer(limits, async (bed) => {
    const relay = await startRelay(bed.port, meddling);
    run = await soak({
      name: "meddled with",
      runtimeVersion: null,
      profile: "open",
      webSocketPort: null,
      caFile: null,
      keys: null,
      renew: null,
      misrenew: null,
      readLogBytes: undefined,
      cluster: null,
      resetsWhenRenewed: false,
      history: {
        timeMs: 60_000,
        messages: 100_000,
        bytes: 64 * MIB,
        readGivenUp: () => Promise.resolve(bed.server.counters.historyGivenUp),
      },
      target: { hostname: "127.0.0.1", port: (relay.address() as AddressInfo).port },
      pid: null,
      stop: stopTakesMs === undefined
        ? null
        : () => Promise.resolve({ status: 0, took_ms: stopTakesMs }),
      stopLimitMs: 11_000,
    }, {
      durationMs: LOAD_MS,
      only: "",
      client: "deno" in process.versions ? "deno" : "bun",
      latency: { p99Ms: 2_000, maxMs: 10_000 },
      maxMemoryBytes: Infinity,
      subscribers: 40,
      killEveryMs: null,
      workers: 1,
      chaosEveryMs: null,
      attacksAtOnce: 5,
      seed: 1,
      patienceMs: 1_000,
      onProgress() {},
      ...plan,
    });
    relay.close();
  });
  return run!;
}

/**
 * The same with clients whose connections break. Where too few came back in time, it tells nothing, and is
 * repeated.
 */
async function soakReturning(meddling: Meddling, patienceMs = 2_000): Promise<SoakRun> {
  for (let tries = 1;; tries++) {
    const run = await soakMeddledWith(
      { cutAfterMs: 800, ...meddling },
      { only: "connections that never speak", subscribers: 12, patienceMs },
    );
    const returns = Object.values(run.resumes).reduce((sum, count) => sum + count, 0);
    if (returns >= FEW_RETURNS || tries === MOST_TRIES) return run;
  }
}

async function startRelay(port: number, meddling: Meddling): Promise<Server> {
  const { meddle = (message) => message, only, delayMs = 0 } = meddling;
  const { ignoresAttackers = false } = meddling;
  const { answer = (frame) => frame, replay = (message) => message, cutAfterMs } = meddling;
  const beganMs = performance.now();
  let messages = 0;
  const relay = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    // Attackers come from other addresses than those who keep the rules.
    if (ignoresAttackers && !["127.0.0.1", "127.0.0.2"].includes(client.remoteAddress!)) {
      client.on("error", () => {});
      client.resume();
      client.on("end", () => client.end());
      return;
    }
    const server = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    let cut: ReturnType<typeof setTimeout> | undefined;
    client.on("close", () => clearTimeout(cut));
    let replays = false;
    let partial: Uint8Array = new Uint8Array(0);
    client.on("data", (chunk: Uint8Array) => {
      server.write(chunk);
      const comesBack = cutAfterMs !== undefined && performance.now() < beganMs + LOAD_MS &&
        new TextDecoder().decode(chunk).includes('"resume":');
      if (comesBack) cut ??= setTimeout(() => client.destroy(), cutAfterMs * (1 + Math.random()));
    });
    client.on("end", () => server.end());
    server.on("end", () => client.end());
    server.on("data", (chunk: Uint8Array) => {
      const bytes = join([partial, chunk]);
      let start = 0;
      for (let end; (end = bytes.indexOf(TERMINATOR, start) + 1) > 0; start = end) {
        const frame = bytes.subarray(start, end);
        const isMessage = frame.indexOf(0x73) !== -1 && frame.length > 90;
        const isNext = only === undefined
          ? isMessage && ++messages % ONE_IN === 0
          : new TextDecoder().decode(frame).includes(only);
        let sent = isNext ? meddle(frame.slice()) : frame;
        if (sent === "cut") return void client.destroy();
        const text = new TextDecoder().decode(frame.subarray(0, 200));
        if (text.includes('"resume":{')) {
          if (!isNext) sent = new TextEncoder().encode(answer(new TextDecoder().decode(frame)));
          replays = /"missed":[1-9]/.test(text);
        } else if (replays && text.includes('"event":"soak"')) {
          replays = false;
          sent = replay(frame.slice());
        }
        if (delayMs === 0) client.write(sent);
        else setTimeout(() => client.write(sent), delayMs);
      }
      partial = bytes.slice(start);
    });
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return relay;
}

describe("the soak of a faulty server", () => {
  it("finds what is lost, what comes twice and what is damaged", {
    timeout: 120_000,
    skip: leftTo("deno"),
  }, async () => {
    let times = 0;
    const { passed, faults, fault_details } = await soakMeddledWith({
      meddle(message) {
        switch (times++ % 3) {
          case 0:
            return new Uint8Array(0);
          case 1:
            return join([message, message]);
          default:
            message[message.length - 4]! ^= 0x02;
            return message;
        }
      },
    });
    assertEquals(passed, false, fault_details.join("\n"));
    for (const kind of ["missing", "duplicate", "damaged", "receipt"] as const) {
      assert((faults[kind] ?? 0) > 0, `nothing ${kind}: ${fault_details.join("\n")}`);
    }
  });

  it("finds what a program misses that uses the client library", {
    timeout: 120_000,
    skip: leftTo("bun"),
  }, async () => {
    let times = 0;
    const run = await soakMeddledWith({
      only: '"soak-library-tcp"',
      meddle(frame) {
        const text = new TextDecoder().decode(frame);
        if (text.includes('"resume":')) {
          return new TextEncoder().encode(
            text.replace('true,"reason":"ok"', 'false,"reason":"off"'),
          );
        }
        // Not its own `from` frame.
        if (!text.includes('"data":')) return frame;
        switch (++times) {
          case 20:
            return new Uint8Array(0);
          case 30:
            return new TextEncoder().encode(text.replace("message", "massage"));
          case 40:
            return "cut";
          default:
            return frame;
        }
      },
    }, { durationMs: 8_000, only: "connections that never speak", subscribers: 5 });
    const found = run.fault_details.join("\n");
    assertMatch(found, /^damaged at \d+ s: client library over tcp: message \d+: /m);
    assertMatch(found, /^gap at \d+ s: client library over tcp: off, and no strike explains it$/m);
    // The gap doesn't excuse what was dropped long before it.
    assertMatch(
      found,
      /^missing at \d+ s: client library over tcp: message \d+, which was accepted/m,
    );
    const { delivered, gaps } = run.library.tcp!;
    assertEquals(gaps, { off: 1 });
    assert(delivered > 50, `${delivered}`);
    assertEquals(run.passed, false);
  });

  let replays = 0;
  let answers = 0;
  const wrongs: readonly [string, "bun" | "deno", Meddling, readonly FaultKind[]][] = [
    ["skips or repeats what a subscriber has missed", "deno", {
      replay: (message) => ++replays % 2 === 0 ? new Uint8Array(0) : join([message, message]),
    }, ["missing", "duplicate"]],
    ["says that nothing is lost although it has dropped some", "bun", {
      historyMessages: 3,
      answer: (frame) =>
        frame.replace('"recovered":false,"reason":"too_old"', '"recovered":true,"reason":"ok"'),
    }, ["missing"]],
    ["says that something is lost although it has all", "deno", {
      answer: (frame) => {
        const reason = ++answers % 2 === 0 ? "too_old" : "new";
        const lie = `"recovered":false,"reason":"${reason}","missed":0`;
        return frame.replace(/"recovered":true,"reason":"ok","missed":\d+/, lie);
      },
    }, ["not_recovered"]],
  ];
  for (const [wrong, runtime, meddling, kinds] of wrongs) {
    it(`finds one that ${wrong}`, { timeout: 120_000, skip: leftTo(runtime) }, async () => {
      const { faults, fault_details, resumes } = await soakReturning(meddling);
      const found = `${JSON.stringify(resumes)} ${fault_details.join("\n")}`;
      for (const kind of kinds) assert((faults[kind] ?? 0) > 0, `nothing ${kind}: ${found}`);
    });
  }

  it(
    "has nothing against clients whose connections break, but that",
    { timeout: 120_000, skip: leftTo("bun") },
    async () => {
      const { faults, fault_details, resumes } = await soakReturning({}, 20_000);
      const found = fault_details.join("\n");
      for (const kind of ["missing", "duplicate", "resume", "not_recovered"] as const) {
        assertEquals(faults[kind], undefined, found);
      }
      assert(resumes["ok"]! > 0, JSON.stringify(resumes));
    },
  );

  it("finds that messages are late, and that a stop is", {
    timeout: 120_000,
    skip: leftTo("bun"),
  }, async () => {
    const run = await soakMeddledWith({ delayMs: 700, stopTakesMs: 12_000 }, {
      durationMs: 8_000,
      only: "connections that never speak",
      subscribers: 5,
      latency: { p99Ms: 500, maxMs: 10_000 },
      patienceMs: 10_000,
    });
    assertEquals(run.passed, false);
    assert(run.latency!.p99_ms > 500);
    const found = run.fault_details.join("\n");
    assertMatch(
      found,
      /^late at \d+ s: bystander: 1 message in 100 took \d{3,5} ms, more than 500 ms$/m,
    );
    assertMatch(found, /^aftermath at \d+ s: the server took 12\.0 s to stop, 11 s are promised$/m);
  });

  it("finds that an attack doesn't reach it", {
    timeout: 120_000,
    skip: process.platform === "linux"
      ? leftTo("deno")
      : "attackers have addresses of their own on Linux only",
  }, async () => {
    const run = await soakMeddledWith({ ignoresAttackers: true }, {
      durationMs: 8_000,
      only: "a flood of receipts",
    });
    const { runs, completed, proven, answers } = run.attacks["a flood of receipts"]!;
    assertEquals([runs >= 5, completed > 1, proven, answers], [true, true, 0, 0]);
    assertMatch(
      run.fault_details.join("\n"),
      /^idle_attack at \d+ s: a flood of receipts: \d+ of \d+ runs /m,
    );
    assertEquals(run.passed, false);
  });
});
