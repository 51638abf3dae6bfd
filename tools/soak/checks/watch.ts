import { processesOf, type ProcessRecord } from "../../harness/process_table.ts";
import type { Faults } from "./faults.ts";
import type { MemorySample } from "./memory.ts";

/** Milliseconds between two looks at a server's processes. */
const SAMPLE_MS = 1_000;

/** Watches a server's processes: their memory and descriptors, and that none ends by itself. */
export class Watch {
  readonly samples: MemorySample[] = [];
  /**
   * Called about once a second with the time that the server's processes, all together, waited for a
   * processor between two moments. Times are in milliseconds, the moments since 1970.
   */
  onWaited: (fromMs: number, toMs: number, waitedMs: number) => void = () => {};
  readonly #serverPid: number;
  readonly #faults: Faults;
  readonly #beganMs = performance.now();
  #workers: readonly number[] = [];
  readonly #expected = new Set<number>();
  /** The process that serves clients since the beginning. */
  readonly #oldest: number;
  /** The worker that isn't struck: the oldest one, or after its end the first of the others. */
  #spared: number;
  /** The last value of each process's waiting time. */
  #waitedMs = new Map<number, number>();
  #sampledMs = Date.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  private constructor(serverPid: number, workers: readonly number[], faults: Faults) {
    this.#serverPid = serverPid;
    this.#faults = faults;
    this.#workers = workers;
    this.#oldest = this.#spared = workers[0] ?? serverPid;
  }

  /** Begins to watch a server that is up and has all its workers. */
  static async start(serverPid: number, faults: Faults): Promise<Watch> {
    const workers = (await processesOf(serverPid)).map(({ pid }) => pid)
      .filter((pid) => pid !== serverPid);
    const watch = new Watch(serverPid, workers, faults);
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
    if (this.#isOver) return;
    this.#noticeWaits(processes);
    const sum = (pick: (one: ProcessRecord) => number) =>
      processes.reduce((total, one) => total + pick(one), 0);
    this.samples.push({
      at_s: (performance.now() - this.#beganMs) / 1000,
      resident_bytes: sum(({ residentBytes }) => residentBytes),
      oldest_resident_bytes: processes.find(({ pid }) => pid === this.#oldest)?.residentBytes ?? 0,
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
    const waited = processes.map(({ pid, waitedMs }) => {
      return waitedMs - (this.#waitedMs.get(pid) ?? waitedMs);
    });
    this.#waitedMs = new Map(processes.map(({ pid, waitedMs }) => [pid, waitedMs]));
    this.onWaited(fromMs, this.#sampledMs, waited.reduce((sum, ms) => sum + Math.max(ms, 0), 0));
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
