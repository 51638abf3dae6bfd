/**
 * Makes and closes connections by the thousand, and measures the server's memory meanwhile.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { encodePublish, encodeSubscribe } from "../../protocol/client_encoder.ts";
import { processesOf } from "../harness/process_table.ts";
import { Peer, type PeerTarget } from "../soak/clients/peer.ts";
import type { StopRecord } from "../soak/report.ts";
import type { SoakedServer } from "../soak/soak_plan.ts";
import { median } from "../../bots/measures/statistics.ts";

/** One server's memory and descriptors after a quarter of the connections, with none open. */
export interface Plateau {
  /** Connections so far. */
  readonly connections: number;
  readonly resident_bytes: number;
  readonly descriptors: number;
}

/** The churn of one server. */
export interface ChurnRun {
  readonly server: string;
  readonly runtime_version: string | null;
  readonly passed: boolean;
  readonly connections: number;
  readonly took_s: number;
  /** Connections that the server didn't accept, greet or answer. */
  readonly failed: number;
  /** One plateau after each quarter. */
  readonly plateaus: readonly Plateau[];
  /** Memory at the end divided by memory after the first quarter. */
  readonly ratio: number;
  /** True if there were enough connections to judge the ratio. */
  readonly judged: boolean;
  readonly stop: StopRecord | null;
}

/** The greatest ratio that passes: a growth by a tenth. */
export const MAX_GROWTH = 1.1;

/**
 * The fewest connections with which memory is judged. With fewer, a runtime's heap is still growing to
 * its working size.
 */
export const FEWEST_TO_JUDGE = 100_000;

const QUARTERS = 4;

/** The number of connections open at once; a listener's backlog holds 512. */
const CONCURRENCY = 100;

/** Milliseconds for one connection. */
const PATIENCE_MS = 20_000;

/**
 * The rest before a measurement: within a few seconds a server releases what its clients left behind, and
 * its garbage collector runs.
 */
const REST = { ms: 3_000, samples: 6 };

/** The rest if memory isn't judged: only the descriptors must be closed. */
const SHORT_REST = { ms: 1_000, samples: 2 };

const SAMPLE_MS = 500;

const TOPIC = "churn";
const SUBSCRIBE = encodeSubscribe(TOPIC);
const PUBLISH = encodePublish(`{"topic":"${TOPIC}","data":"test"}`, { pipelined: true });

/**
 * Makes and closes connections, a hundred at a time. One quarter each is reset as soon as it is
 * connected, when it is greeted, and when it is subscribed; the last quarter publishes and closes in
 * order.
 *
 * @param connections The number of counted connections; half as many come before them to warm the server
 * up.
 * @param onProgress Receives the finished share, from 0 to 1, about once a second.
 */
export async function churn(
  server: SoakedServer & { readonly pid: number },
  connections: number,
  onProgress: (share: number) => void,
): Promise<ChurnRun> {
  const beganMs = performance.now();
  const judged = connections >= FEWEST_TO_JUDGE;
  const plateaus: Plateau[] = [];
  let next = 0;
  let failed = 0;
  const warmUp = Math.round(connections / 2);
  const goOnTo = async (end: number) => {
    await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
      while (next < end) if (!await comeAndGo(server.target, next++)) failed++;
    }));
  };
  const timer = setInterval(() => onProgress(next / (connections + warmUp)), 1_000);
  await goOnTo(warmUp);
  for (let quarter = 1; quarter <= QUARTERS; quarter++) {
    const counted = Math.round(connections * quarter / QUARTERS);
    await goOnTo(warmUp + counted);
    plateaus.push(await plateau(server.pid, counted, judged ? REST : SHORT_REST));
  }
  clearInterval(timer);
  const tookS = (performance.now() - beganMs) / 1000;
  const stop = await server.stop?.() ?? null;
  const ratio = plateaus.at(-1)!.resident_bytes / plateaus[0]!.resident_bytes;
  return {
    server: server.name,
    runtime_version: server.runtimeVersion,
    passed: failed === 0 && (!judged || ratio <= MAX_GROWTH) && (stop?.status ?? 0) === 0,
    connections,
    took_s: tookS,
    failed,
    plateaus,
    ratio,
    judged,
    stop,
  };
}

/** Makes one connection. Resolves with true if it got as far as it should. */
function comeAndGo(target: PeerTarget, index: number): Promise<boolean> {
  const kind = index % 4;
  let isFine = false;
  return new Promise((resolve) => {
    const leave = () => {
      isFine = true;
      if (kind === 3) peer.leave();
      else peer.reset();
    };
    const timer = setTimeout(() => peer.drop(), PATIENCE_MS);
    const peer: Peer = new Peer(target, {
      onConnect() {
        if (kind === 0) leave();
        else if (kind === 2) peer.write(SUBSCRIBE);
        else if (kind === 3) peer.write(PUBLISH);
      },
      onData(chunk) {
        // `ACK` ends in K, which no greeting contains.
        if (kind !== 2 || chunk.includes(0x4b)) leave();
      },
      onEnd() {
        clearTimeout(timer);
        resolve(isFine);
      },
    }, addressOf(index));
  });
}

/**
 * One of so many addresses that none runs out of ports, though those of the last minute are still
 * blocked.
 */
function addressOf(index: number): string {
  return `127.0.${1 + (index >> 3) % 250}.${1 + index % 8}`;
}

async function plateau(
  pid: number,
  connections: number,
  rest: typeof REST,
): Promise<Plateau> {
  await sleep(rest.ms);
  const samples: { residentBytes: number; descriptors: number }[] = [];
  for (let at = 0; at < rest.samples; at++) {
    const processes = await processesOf(pid);
    samples.push({
      residentBytes: processes.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      descriptors: processes.reduce((sum, { descriptors }) => sum + descriptors, 0),
    });
    await sleep(SAMPLE_MS);
  }
  return {
    connections,
    resident_bytes: median(samples.map(({ residentBytes }) => residentBytes)),
    descriptors: median(samples.map(({ descriptors }) => descriptors)),
  };
}
