/**
 * Connections made and closed by the thousand, and what a server's memory says to it.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { encodePublish, encodeSubscribe } from "../../protocol/client_encoder.ts";
import { processesOf } from "../harness/process_table.ts";
import { Peer, type PeerTarget } from "../soak/clients/peer.ts";
import type { StopRecord } from "../soak/report.ts";
import type { SoakedServer } from "../soak/soak.ts";
import { median } from "../../bots/measures/statistics.ts";

/** What one server held when a quarter of the connections had come and gone, and nobody was there. */
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
  /** After each quarter. */
  readonly plateaus: readonly Plateau[];
  /** Memory at the end against memory after the first quarter. */
  readonly ratio: number;
  /** Whether there were enough connections to judge that. */
  readonly judged: boolean;
  readonly stop: StopRecord | null;
}

/** Memory is where it was as long as it hasn't grown by more than a tenth. */
export const MAX_GROWTH = 1.1;

/** With fewer a runtime's young generation, say, is still on its way to its full size. */
export const FEWEST_TO_JUDGE = 100_000;

const QUARTERS = 4;

/** How many are under way at once; a listener's backlog holds 512. */
const CONCURRENCY = 100;

/** One connection may take so long. */
const PATIENCE_MS = 20_000;

/** A server lets go of what its clients left behind, and its collector runs, within a few seconds. */
const REST = { ms: 3_000, samples: 6 };

/** Where memory isn't judged, only descriptors have to be back. */
const SHORT_REST = { ms: 1_000, samples: 2 };

const SAMPLE_MS = 500;

const TOPIC = "churn";
const SUBSCRIBE = encodeSubscribe(TOPIC);
const PUBLISH = encodePublish(`{"topic":"${TOPIC}","data":"test"}`, { pipelined: true });

/**
 * Makes and closes connections, a hundred at a time. A quarter each reset as soon as they are connected,
 * when they are greeted, and when they are subscribed; the last publishes, and leaves in order.
 *
 * @param connections How many are counted; half as many warm the server up before.
 * @param onProgress Gets the share that is done, about once a second.
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

/** One connection; whether it got as far as it wanted. */
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
        // `ACK` ends in K, which stands nowhere in a greeting.
        if (kind !== 2 || chunk.includes(0x4b)) leave();
      },
      onEnd() {
        clearTimeout(timer);
        resolve(isFine);
      },
    }, addressOf(index));
  });
}

/** So many addresses that none runs out of ports while those of the last minute are still blocked. */
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
