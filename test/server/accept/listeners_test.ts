import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import type { Listener, Runtime } from "../../../runtime/types.ts";
import { newCounters } from "../../../server/counters.ts";
import { Listeners, type ListenersHost } from "../../../server/accept/listeners.ts";

const OPTIONS = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;

/** A runtime whose listeners stand when the test says so. */
class SlowRuntime {
  /** Which of its listeners are closed. */
  readonly closed: boolean[] = [];
  readonly #standing: (() => void)[] = [];

  async listen(): Promise<Listener> {
    const at = this.closed.push(false) - 1;
    await new Promise<void>((resolve) => this.#standing.push(resolve));
    const close = () => {
      this.closed[at] = true;
      return Promise.resolve();
    };
    return { address: OPTIONS, close } as unknown as Listener;
  }

  stand(): void {
    for (const resolve of this.#standing) resolve();
  }
}

describe("the listeners of a server that stops", () => {
  const start = () => {
    const runtime = new SlowRuntime();
    const host = { runtime: runtime as unknown as Runtime, counters: newCounters() };
    return { runtime, listeners: new Listeners(host as unknown as ListenersHost) };
  };
  const accept = () => {
    throw new Error("nobody comes");
  };

  it("accept nobody, also where one was about to stand", async () => {
    const { runtime, listeners } = start();
    const opening = listeners.open(OPTIONS, accept);
    await listeners.close();
    runtime.stand();
    await assertRejects(() => opening, Error, "the server is being stopped");
    assertEquals(runtime.closed, [true]);
    await assertRejects(
      () => listeners.open(OPTIONS, accept),
      Error,
      "the server is being stopped",
    );
    assertEquals(runtime.closed, [true]);
  });
});
