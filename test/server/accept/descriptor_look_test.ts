import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import {
  type Accept,
  type Listener,
  type ListenOptions,
  TransportError,
} from "../../../runtime/types.ts";
import { seesDescriptors } from "../../../server/accept/descriptor_look.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

/** A runtime that may listen so often at once, and to each of whose listeners a stranger connects. */
class NarrowRuntime extends MemoryRuntime {
  readonly #most: number;
  readonly #fault: TransportError;
  readonly strangers: MemoryPeer[] = [];
  /** The listeners that stand. */
  standing = 0;

  constructor(most: number, fault: TransportError) {
    super();
    this.#most = most;
    this.#fault = fault;
  }

  override async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    if (this.standing === this.#most) throw this.#fault;
    this.standing++;
    const listener = await super.listen(options, accept);
    this.strangers.push(this.dial(listener.address));
    const close = async () => {
      await listener.close();
      this.standing--;
    };
    return { ...listener, close };
  }
}

describe("a look whether there are descriptors", () => {
  const exhausted = new TransportError("descriptors_exhausted", "none is left");
  const forbidden = new TransportError("permission_denied", "it may not listen");

  it("finds as many as there are, and keeps none", async () => {
    const runtime = new NarrowRuntime(3, exhausted);
    for (const [count, areThere] of [[3, true], [4, false], [3, true]] as const) {
      assertEquals([await seesDescriptors(runtime, count), runtime.standing], [areThere, 0]);
    }
  });

  it("takes it that there are where the process may not look", async () => {
    const runtime = new NarrowRuntime(1, forbidden);
    assertEquals([await seesDescriptors(runtime, 3), runtime.standing], [true, 0]);
  });

  it("sends away who happens to connect meanwhile", async () => {
    const runtime = new NarrowRuntime(3, exhausted);
    await seesDescriptors(runtime, 2);
    await runtime.settled();
    const { strangers } = runtime;
    assertEquals(strangers.map(({ failed, byteCount }) => [failed, byteCount]), [
      [true, 0],
      [true, 0],
    ]);
  });
});
