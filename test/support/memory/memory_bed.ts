/**
 * A server on the runtime in memory: nothing happens unless the test says so, and no time passes.
 *
 * @module
 */

import type { Address, Runtime } from "../../../runtime/types.ts";
import { type Limits } from "../../../server/limits.ts";
import { SWEEP_INTERVAL_MS } from "../../../server/limits/clients.ts";
import type { OverdueProcess } from "../../../server/cluster/backplane.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Server } from "../../../server/server.ts";
import type { SessionEnd } from "../../../server/session/session_end.ts";
import type { Timekeeper } from "../../../server/timing/timekeeper.ts";
import type { DialOptions, MemoryPeer } from "./memory_peer.ts";
import { MemoryProcess } from "./memory_process.ts";
import { type MemoryOptions, MemoryRuntime } from "./memory_runtime.ts";

/** The clock's value when the test begins: not 0, which could pass for "never". */
const START_MS = 1_000_000;

/** So many servers. */
type Several<Count extends number> = Count extends 1 ? [MemoryBed]
  : Count extends 2 ? [MemoryBed, MemoryBed]
  : Count extends 3 ? [MemoryBed, MemoryBed, MemoryBed]
  : MemoryBed[];

/** A server, its loop and its clock, all in the hands of a test. */
export class MemoryBed {
  readonly net: MemoryRuntime;
  readonly server: Server;
  readonly ended: SessionEnd[] = [];
  /** Processes that were said to take too long, as often as that was said. */
  readonly overdue: OverdueProcess[] = [];
  #nowMs = START_MS;
  #address!: Address;
  #sweep: () => void = () => {};
  readonly #process: MemoryProcess | undefined;

  private constructor(
    net: MemoryRuntime,
    runtime: Runtime,
    limits: Partial<Limits>,
    hasMesh: boolean,
    timekeeper: Timekeeper | undefined,
  ) {
    this.net = net;
    this.#process = runtime instanceof MemoryProcess ? runtime : undefined;
    this.server = new Server(
      runtime,
      completeLimits({ maxConnections: 100_000, ...limits }),
      {
        onSessionEnd: (end) => void this.ended.push(end),
        onAcceptError: (error) => console.error(error),
      },
      {
        readMs: () => this.#nowMs,
        hasMesh,
        ...timekeeper === undefined ? {} : { timekeeper },
        onOverdue: (process) => void this.overdue.push(process),
      },
    );
  }

  /** @param around What the server gets in place of the runtime. */
  static async start(
    limits: Partial<Limits> = {},
    options: MemoryOptions = {},
    around: (runtime: Runtime) => Runtime = (runtime) => runtime,
  ): Promise<MemoryBed> {
    const net = netOf(options);
    return await MemoryBed.#on(net, around(net), limits, false);
  }

  /**
   * So many servers that are linked with one another, as the workers of one are. The loop is one for
   * all, the clocks aren't.
   *
   * @param timekeepers What issues each one's timestamps; by the system's clock unless given.
   */
  static async linked<Count extends number>(
    count: Count,
    limits: Partial<Limits> = {},
    options: MemoryOptions = {},
    timekeepers: readonly Timekeeper[] = [],
  ): Promise<Several<Count>> {
    const net = netOf(options);
    const beds: MemoryBed[] = [];
    for (let i = 0; i < count; i++) {
      const bed = await MemoryBed.#on(net, new MemoryProcess(net), limits, true, timekeepers[i]);
      await bed.server.mesh!.listen(`/${i}`);
      for (const [j, other] of beds.entries()) {
        await bed.link(`/${j}`);
        await other.link(`/${i}`);
      }
      beds.push(bed);
    }
    return beds as Several<Count>;
  }

  /**
   * One more server that is linked with those of {@linkcode linked}: it begins to copy their history.
   *
   * @param path The name of its socket.
   * @param others The servers that live, by the names of theirs.
   * @returns The server, and what resolves when it has copied everything.
   */
  static async joining(
    path: string,
    others: ReadonlyMap<string, MemoryBed>,
    limits: Partial<Limits> = {},
  ): Promise<{ readonly bed: MemoryBed; readonly copied: Promise<void> }> {
    const [first] = others.values();
    const { net } = first!;
    const bed = await MemoryBed.#on(net, new MemoryProcess(net), limits, true);
    await bed.server.mesh!.listen(path);
    for (const [otherPath, other] of others) {
      await bed.link(otherPath);
      await other.link(path);
    }
    const [source] = others.keys();
    return { bed, copied: bed.server.mesh!.copyHistory(source!) };
  }

  static async #on(
    net: MemoryRuntime,
    runtime: Runtime,
    limits: Partial<Limits>,
    hasMesh: boolean,
    timekeeper?: Timekeeper,
  ): Promise<MemoryBed> {
    const bed = new MemoryBed(net, runtime, limits, hasMesh, timekeeper);
    // The only timer of the server is the sweep's: it's ours now.
    const { setInterval } = globalThis;
    globalThis.setInterval = ((sweep: () => void) => {
      bed.#sweep = sweep;
    }) as unknown as typeof setInterval;
    try {
      bed.#address = await bed.server.listen(bed.net.anywhere);
    } finally {
      globalThis.setInterval = setInterval;
    }
    return bed;
  }

  /** True if the process of one of several servers stands still. */
  get hangs(): boolean {
    return this.#process?.hangs ?? false;
  }

  /** Stops the process of one of several servers, or lets it go on. */
  set hangs(hangs: boolean) {
    if (this.#process === undefined) throw new TypeError("there is only one process");
    this.#process.hangs = hangs;
  }

  /** Ends the process of one of several servers, as SIGKILL does. */
  kill(): void {
    this.#process?.kill();
  }

  /** Links the server with the listener on the Unix socket. */
  async link(path: string): Promise<void> {
    const linked = this.server.mesh!.link(path);
    this.net.settle();
    await linked;
  }

  /** Connects a peer, and lets the server greet it. */
  dial(options?: DialOptions): MemoryPeer {
    const peer = this.beginDial(options);
    this.net.settle();
    return peer;
  }

  /** Connects a peer, without a turn of the loop. */
  beginDial(options?: DialOptions): MemoryPeer {
    return this.net.dial(this.#address, options);
  }

  /** Connects a peer that is subscribed to the topics. */
  subscribed(topics: readonly string[], options?: DialOptions): MemoryPeer {
    const peer = this.dial(options);
    for (const topic of topics) peer.send(`{"action":"subscribe","data":"${topic}"}\0`);
    this.net.settle();
    return peer;
  }

  /**
   * Lets time pass, with a sweep at each of its intervals.
   *
   * @param meanwhile Done before each sweep; the loop settles behind it, and behind the sweep.
   */
  pass(ms: number, meanwhile: () => void = () => {}): void {
    for (let passed = 0; passed < ms; passed += SWEEP_INTERVAL_MS) {
      this.#nowMs += SWEEP_INTERVAL_MS;
      meanwhile();
      this.net.settle();
      if (!this.hangs) this.#sweep();
      this.net.settle();
    }
  }

  /** Lets time pass in which the server's process stands still, and then a sweep. */
  stall(ms: number): void {
    this.#nowMs += ms;
    this.#sweep();
    this.net.settle();
  }

  /** Lets a sweep begin, without a turn of the loop. */
  beginSweep(): void {
    this.#nowMs += SWEEP_INTERVAL_MS;
    this.#sweep();
  }
}

function netOf(options: MemoryOptions): MemoryRuntime {
  return new MemoryRuntime({ turns: "manual", ...options });
}

/** The frames that a peer got, without the greeting; a partial one at the end is left out. */
export function framesOf(peer: MemoryPeer): string[] {
  return peer.text.split("\x01").slice(1, -1);
}

/** The `data` of the messages among the frames that a peer got. */
export function dataOf(peer: MemoryPeer): unknown[] {
  return framesOf(peer).filter((frame) => frame.startsWith('{"timestamp"')).map((frame) =>
    (JSON.parse(frame) as { data: unknown }).data
  );
}
