import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import type { Order } from "../../../server/workers/control.ts";
import {
  type WorkerEvents,
  type WorkerPhase,
  WorkerProcess,
} from "../../../server/workers/worker_process.ts";

/** What a worker answers to an order: that it is done, that it failed, or nothing yet. */
export type Answer = "done" | "failed" | "nothing";

/** A worker's process whose part a test plays. */
export class FakeChild extends EventEmitter {
  readonly connected = true;
  readonly pid: number;
  /** The orders that it was given. */
  readonly orders: Omit<Order, "id">[] = [];
  /** Its answers to orders; later ones are answered as the last. */
  answers: Answer[] = ["done"];
  /** What it was killed by. */
  killedBy: string | undefined;
  readonly #unanswered: number[] = [];

  constructor(pid: number) {
    super();
    this.pid = pid;
  }

  send({ id, ...order }: Order & { readonly id: number }): void {
    this.orders.push(order);
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
    if (answer === "done") this.emit("message", { id, done: null });
    else if (answer === "failed") this.emit("message", { id, failed: "no memory" });
    else this.#unanswered.push(id);
  }

  /** Answers what it has left unanswered. */
  goOn(): void {
    for (const id of this.#unanswered.splice(0)) this.emit("message", { id, done: null });
  }

  kill(signal: string): void {
    this.killedBy = signal;
    this.emit("exit", null, signal);
  }
}

/** A worker as its supervisor has it, and the process behind it. */
export function fakeWorker(number: number, phase: WorkerPhase = "serving") {
  const child = new FakeChild(4_000 + number);
  const worker = new WorkerProcess(
    `worker-${number}`,
    `@worker-${number}-${child.pid}`,
    child as unknown as ChildProcess,
    {} as WorkerEvents,
  );
  worker.phase = phase;
  return { child, worker };
}
