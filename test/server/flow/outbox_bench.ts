import type { Connection } from "../../../runtime/types.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { type Limits } from "../../../server/limits.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Outbox } from "../../../server/flow/outbox.ts";
import { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import { pattern } from "../../support/bytes.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

/** An outbox to a peer that takes what the test says. */
export class Bench {
  readonly net: MemoryRuntime;
  readonly clock = new CoarseClock(5_000);
  readonly budget = new MemoryBudget(Number.MAX_SAFE_INTEGER, {});
  readonly outbox: Outbox;
  readonly peer: MemoryPeer;
  readonly sent: Uint8Array[] = [];
  /** The answers of `drained`, call by call. */
  readonly answers: boolean[] = [];

  private constructor(net: MemoryRuntime, outbox: (bench: Bench) => Outbox, peer: MemoryPeer) {
    this.net = net;
    this.peer = peer;
    this.outbox = outbox(this);
  }

  /** @param bufferBytes What is taken before the peer reads anything. */
  static async open(
    bufferBytes: number,
    answers: "at once" | "late" = "at once",
    limits: Partial<Limits> = {},
    copiedBytes = 0,
  ): Promise<Bench> {
    const net = new MemoryRuntime({ turns: "manual", answers });
    let connection: Connection | undefined;
    const listener = await net.listen(net.anywhere, (accepted) => {
      connection = Object.assign(accepted, { copiedBytes });
      return {
        onData() {},
        onDrain() {
          bench.answers.push(bench.outbox.drained());
        },
        onEnd() {},
        onClose() {
          bench.outbox.discard();
        },
      };
    });
    const peer = net.dial(listener.address, { bufferBytes });
    peer.stall();
    const all: Limits = completeLimits({ maxConnections: 1, ...limits });
    const bench: Bench = new Bench(
      net,
      ({ budget, clock }) =>
        new Outbox(connection!, {
          limits: all,
          budget,
          clock,
          copies: true,
          counters: { bytesOut: 0 },
        }),
      peer,
    );
    return bench;
  }

  send(bytes: number): boolean {
    const chunk = pattern(this.sent.length + 1, bytes);
    this.sent.push(chunk);
    return this.outbox.send(new SharedChunk(chunk, this.budget));
  }

  /** Keeps a chunk for a later write, or sends it where that isn't done. */
  gather(bytes: number): boolean {
    const chunk = pattern(this.sent.length + 1, bytes);
    this.sent.push(chunk);
    const shared = new SharedChunk(chunk, this.budget);
    if (this.outbox.gather(shared)) return true;
    this.outbox.send(shared);
    return false;
  }

  /** The peer takes so many bytes, and the loop settles. */
  take(bytes: number): void {
    this.peer.take(bytes);
    this.net.settle();
  }

  health(ms = 0): string {
    this.clock.nowMs += ms;
    return this.outbox.health(this.clock.nowMs, this.outbox.pendingBytes);
  }
}
