/**
 * Running commands side by side, no more at once than the machine bears.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { childSeconds, Processors } from "./processors.ts";

/** Milliseconds that a job's children may keep its output open after it has ended. */
const STRAY_PATIENCE_MS = 5_000;

/** Milliseconds between two looks at the processors' idle time. */
const LOOK_MS = 500;

/** A processor is free where so much of the time is idle. */
const IDLE_SHARE = 0.15;

/** However idle the machine is, jobs don't take more than so many times the slots. */
const MOST_TIMES = 2;

/** A command to run. */
export interface Job {
  /** Printed in front of its output. */
  readonly title: string;
  readonly command: readonly string[];
  /** The number of slots that it takes while it runs; 0 if it leaves the processors to others. */
  readonly slots: number;
}

/** A job that has ended. */
export interface Finished<T extends Job> {
  readonly job: T;
  /** True if its exit status was 0. */
  readonly succeeded: boolean;
  readonly seconds: number;
  /**
   * Seconds that processors have worked for it and for what it started and waited for; of two jobs that
   * end at once one may have both. `null` where the system doesn't say.
   */
  readonly workSeconds: number | null;
}

/**
 * Runs jobs in their order, as many at once as there are slots for, and more where they leave the
 * processors idle, since tests wait more than they work. What they say is printed in that
 * order too: the earliest one that runs is heard as it speaks, what others say is kept until then.
 */
export class JobQueue<T extends Job> {
  readonly #waiting: T[];
  readonly #started: Started[] = [];
  readonly #finished: Finished<T>[] = [];
  readonly #done = Promise.withResolvers<Finished<T>[]>();
  readonly #processors: Processors;
  #freeSlots: number;
  /** Jobs whose end hasn't been noted. */
  #running = 0;
  #workSeconds = childSeconds();

  /** @param slots A job that takes more than these runs alone. */
  constructor(jobs: readonly T[], private readonly slots: number, processors = new Processors()) {
    this.#waiting = [...jobs];
    this.#freeSlots = slots;
    this.#processors = processors;
  }

  /** Runs them all; resolves with them in the order in which they ended. */
  async run(): Promise<Finished<T>[]> {
    const look = setInterval(() => {
      if (this.#processors.takeIdleShare() > IDLE_SHARE) this.#startOneMore();
    }, LOOK_MS);
    this.#startNext();
    try {
      return await this.#done.promise;
    } finally {
      clearInterval(look);
    }
  }

  #startNext(): void {
    while (this.#startWithin(0));
    if (this.#running === 0) this.#done.resolve(this.#finished);
  }

  #startOneMore(): void {
    this.#startWithin((MOST_TIMES - 1) * this.slots);
  }

  /** Starts the next job if it takes no more than what is free and so many more; says whether it did. */
  #startWithin(moreSlots: number): boolean {
    const [job] = this.#waiting;
    if (job === undefined) return false;
    const slots = Math.min(job.slots, this.slots);
    if (slots > this.#freeSlots + moreSlots) return false;
    this.#waiting.shift();
    this.#freeSlots -= slots;
    this.#start(job, slots);
    return true;
  }

  #start(job: T, slots: number): void {
    const beganMs = performance.now();
    const output = new Started(job);
    this.#running++;
    this.#started.push(output);
    this.#started[0]!.speak();
    output.ended.then((succeeded) => {
      const seconds = (performance.now() - beganMs) / 1000;
      this.#finished.push({ job, succeeded, seconds, workSeconds: this.#takeWorkSeconds() });
      this.#freeSlots += slots;
      this.#running--;
      while (this.#started[0]?.hasEnded) {
        this.#started.shift();
        this.#started[0]?.speak();
      }
      this.#startNext();
    });
  }

  /** Processors' work for children since the last call. */
  #takeWorkSeconds(): number | null {
    const before = this.#workSeconds;
    this.#workSeconds = childSeconds();
    return before === null || this.#workSeconds === null ? null : this.#workSeconds - before;
  }
}

/** A job's process, which keeps what it says to itself until it's its turn to speak. */
class Started {
  /** Resolves with true if it succeeded, when it has ended and all its output is read. */
  readonly ended: Promise<boolean>;
  readonly #title: string;
  #held: Uint8Array[] | null = [];
  #hasEnded = false;

  constructor({ title, command }: Job) {
    this.#title = title;
    const [program, ...args] = command;
    const child = spawn(program!, args, { cwd: PROJECT_ROOT, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (chunk: Uint8Array) => this.#say(chunk));
    }
    this.ended = this.#endOf(child);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Says what it has kept to itself, and from now on the rest as it comes; idempotent. */
  speak(): void {
    if (this.#held === null) return;
    const held = this.#held;
    this.#held = null;
    process.stdout.write(`\n$ ${this.#title}\n`);
    for (const chunk of held) process.stdout.write(chunk);
  }

  #say(chunk: Uint8Array): void {
    if (this.#held === null) process.stdout.write(chunk);
    else this.#held.push(chunk);
  }

  #endOf(child: ChildProcess): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (succeeded: boolean) => {
        this.#hasEnded = true;
        resolve(succeeded);
      };
      child.once("error", (error) => {
        this.#say(new TextEncoder().encode(`${error.message}\n`));
        end(false);
      });
      child.once("close", (status) => end(status === 0));
      child.once("exit", (status, signal) => {
        if (signal !== null) this.#say(new TextEncoder().encode(`It was ended by ${signal}.\n`));
        setTimeout(() => {
          if (this.#hasEnded) return;
          this.#say(
            new TextEncoder().encode("What it started, and left behind, may still talk.\n"),
          );
          child.stdout!.destroy();
          child.stderr!.destroy();
          end(status === 0);
        }, STRAY_PATIENCE_MS);
      });
    });
  }
}
