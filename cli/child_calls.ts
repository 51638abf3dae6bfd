/**
 * Calls to a child process over its IPC channel, and their answers.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";

interface PendingCall<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** The calls to one child process that wait for an answer, by the number that each carries. */
export class ChildCalls<Call extends object, Answer> {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PendingCall<Answer>>();
  #lastId = 0;
  #end: Error | undefined;

  /** @param child A process whose channel is open. */
  constructor(child: ChildProcess) {
    this.#child = child;
  }

  /**
   * Makes a call.
   *
   * @param call Sent as JSON, with an `id` that the answer repeats.
   * @throws {Error} (rejects) with what {@linkcode fail} or {@linkcode end} is given.
   */
  make(call: Call): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.tell({ ...call, id });
    });
  }

  /** Sends what has no answer; nothing if the child has ended. */
  tell(message: object): void {
    if (this.#end !== undefined || !this.#child.connected) return;
    // A child that has just died isn't known to have. Without a callback that would end this process.
    this.#child.send(message, () => {});
  }

  /** The child has answered. */
  settle(id: number, answer: Answer): void {
    this.#take(id)?.resolve(answer);
  }

  /** The child has answered that it can't. */
  fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  /** The child has ended: every call fails, those to come too. The first error counts. */
  end(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#end);
    this.#pending.clear();
  }

  #take(id: number): PendingCall<Answer> | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    return call;
  }
}
