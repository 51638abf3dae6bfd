import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import type { Connection } from "../../../runtime/types.ts";
import { OutgoingFrames } from "../../../runtime/websocket/outgoing.ts";
import type { WebSocketSide } from "../../../runtime/websocket/sides.ts";

/** A connection that takes one chunk, whose write fails before the connection's end is known, as on Deno. */
class FailingConnection {
  unsentBytes = 0;
  #hasFailed = false;

  write(chunk: Uint8Array): boolean {
    if (!this.#hasFailed) this.unsentBytes = chunk.length;
    return false;
  }

  fail(): void {
    this.unsentBytes = 0;
    this.#hasFailed = true;
  }
}

class Frames extends OutgoingFrames {
  write(chunk: Uint8Array): boolean {
    return this.writeChunk(chunk, false);
  }

  get unsentBytes(): number {
    return this.unsentChunkBytes;
  }
}

describe("what a WebSocket sends", () => {
  it("is in flight until its write has failed, and then goes nowhere", () => {
    const plain = new FailingConnection();
    const side = { isClient: false } as WebSocketSide;
    const frames = new Frames(plain as unknown as Connection, side);
    assert(!frames.write(new Uint8Array(3)));
    assertEquals(frames.unsentBytes, 3);
    assertThrows(() => frames.write(new Uint8Array(1)), Error, "while another chunk is in flight");
    plain.fail();
    assertEquals(frames.unsentBytes, 0);
    assert(!frames.write(new Uint8Array(1)));
    assertEquals(frames.unsentBytes, 0);
  });
});
