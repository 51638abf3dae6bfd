import { processesOf, type ProcessRecord } from "../../harness/process_table.ts";
import type { Faults } from "./faults.ts";
import type { MemorySample } from "./memory.ts";

/** Milliseconds between two looks at a server's processes. */
const SAMPLE_MS = 1_000;

/** Called with the times that processes waited for a processor, and had one; see {@linkcode Watch}. */
export type OnWaited = (fromMs: number, toMs: number, waitedMs: number, ranMs: number) => void;

/** Reads the bytes that a server's processes keep for other machines. */
export type ReadLogBytes = () => Promise<number>;

/** Watches a server's processes: their memory and descriptors, and that none ends by itself. */
export class Watch {
  readonly samples: MemorySample[] = [];
  /**
   * Called about once a second with the time that the server's processes, all together, waited for a
   * processor between two moments, and had one. Times are in milliseconds, the moments since 1970.
   */
  onWaited: OnWaited = () => {};
  readonly #serverPid: number;
  readonly #faults: Faults;
  readonly #readLogBytes: ReadLogBytes | undefined;
  readonly #beganMs = performance.now();
  #workers: readonly number[] = [];
  readonly #expected = new Set<number>();
  /** The process that serves clients since the beginning. */
  readonly #oldest: number;
  /** The worker that isn't struck: the oldest one, or after its end the first of the others. */
  #spared: number;
  /** The last values of each process's times. */
  #last = new Map<number, ProcessRecord>();
  #sampledMs = Date.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  private constructor(
    serverPid: number,
    workers: readonly number[],
    faults: Faults,
    readLogBytes: ReadLogBytes | undefined,
  ) {
    this.#readLogBytes = readLogBytes;
    this.#serverPid = serverPid;
    this.#faults = faults;
    this.#workers = workers;
    this.#oldest = this.#spared = workers[0] ?? serverPid;
  }

  /**
   * Begins to watch a server that is up and has all its workers.
   *
   * @param readLogBytes Unless given, it keeps nothing for other machines.
   */
  static async start(
    serverPid: number,
    faults: Faults,
    readLogBytes?: ReadLogBytes,
  ): Promise<Watch> {
    const workers = (await processesOf(serverPid)).map(({ pid }) => pid)
      .filter((pid) => pid !== serverPid);
    const watch = new Watch(serverPid, workers, faults, readLogBytes);
    await watch.#sample();
    return watch;
  }

  /** The workers at the last look that may be ended: all but one. */
  get killableWorkers(): readonly number[] {
    return this.#workers.filter((pid) => pid !== this.#spared && !this.#expected.has(pid));
  }

  /** The most bytes that all processes together had at any look. */
  get peakResidentBytes(): number {
    return this.samples.reduce((most, { resident_bytes }) => Math.max(most, resident_bytes), 0);
  }

  get workers(): readonly number[] {
    return this.#workers;
  }

  /** Notes that a process is about to be ended. */
  expectEnd(pid: number): void {
    this.#expected.add(pid);
  }

  /** Notes that a process won't be ended after all. */
  expectNoEnd(pid: number): void {
    this.#expected.delete(pid);
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  async #sample(): Promise<void> {
    let processes: ProcessRecord[];
    try {
      processes = await processesOf(this.#serverPid);
    } catch {
      // The machine is too busy for a look this time.
      return this.#sampleLater();
    }
    // What it can't tell now is what it told last, about.
    const logBytes = await this.#readLogBytes?.().catch(() => undefined) ??
      this.samples.at(-1)?.log_bytes ?? 0;
    if (this.#isOver) return;
    this.#noticeWaits(processes);
    const sum = (pick: (one: ProcessRecord) => number) =>
      processes.reduce((total, one) => total + pick(one), 0);
    this.samples.push({
      at_s: (performance.now() - this.#beganMs) / 1000,
      resident_bytes: sum(({ residentBytes }) => residentBytes),
      oldest_resident_bytes: processes.find(({ pid }) => pid === this.#oldest)?.residentBytes ?? 0,
      log_bytes: logBytes,
      descriptors: sum(({ descriptors }) => descriptors),
    });
    this.#notice(processes.map(({ pid }) => pid));
    this.#sampleLater();
  }

  #sampleLater(): void {
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#sample(), SAMPLE_MS);
  }

  #noticeWaits(processes: readonly ProcessRecord[]): void {
    const fromMs = this.#sampledMs;
    this.#sampledMs = Date.now();
    const sinceLast = (pick: (one: ProcessRecord) => number) =>
      processes.reduce((sum, one) => {
        return sum + Math.max(0, pick(one) - pick(this.#last.get(one.pid) ?? one));
      }, 0);
    const waitedMs = sinceLast((one) => one.waitedMs);
    const ranMs = sinceLast(({ cpuMs }) => cpuMs);
    this.#last = new Map(processes.map((one) => [one.pid, one]));
    this.onWaited(fromMs, this.#sampledMs, waitedMs, ranMs);
  }

  #notice(pids: readonly number[]): void {
    for (const pid of this.#workers) {
      if (pids.includes(pid) || this.#expected.delete(pid)) continue;
      this.#faults.add("process_died", `worker ${pid} ended by itself`);
    }
    if (!pids.includes(this.#serverPid)) {
      this.#faults.add("process_died", `the server's process ${this.#serverPid} has ended`);
      this.stop();
    }
    this.#workers = pids.filter((pid) => pid !== this.#serverPid);
    if (!pids.includes(this.#spared)) this.#spared = this.#workers[0] ?? this.#serverPid;
  }
}
