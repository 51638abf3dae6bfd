import type { Connection, ConnectionHandler } from "../runtime/types.ts";
import { RESERVED_DESCRIPTORS } from "../runtime/system/capacity.ts";
import { RejectedConnection } from "./rejected_connection.ts";

/** Connections that are being told that there is no room for them. */
export class Rejections {
  readonly #rejected = new Set<RejectedConnection>();
  readonly #onGone: () => void;

  /** @param onGone A rejected connection is no more. */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  /** Sends a connection its only frame, and closes it. */
  refuse(connection: Connection, frame: Uint8Array): ConnectionHandler {
    const rejected = new RejectedConnection(connection, () => {
      this.#rejected.delete(rejected);
      this.#onGone();
    });
    this.#rejected.add(rejected);
    rejected.refuse(frame);
    // They must not use up the descriptors that are kept for them.
    if (this.#rejected.size > RESERVED_DESCRIPTORS / 2) {
      for (const oldest of this.#rejected) {
        oldest.destroy();
        this.#rejected.delete(oldest);
        break;
      }
    }
    return rejected;
  }

  /** Drops those who don't close their side. To be called about once a sweep. */
  sweep(nowMs: number): void {
    for (const rejected of this.#rejected) rejected.sweep(nowMs);
  }

  /** Drops all. */
  destroy(): void {
    for (const rejected of this.#rejected) rejected.destroy();
  }
}
