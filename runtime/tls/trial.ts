/**
 * Tries a certificate and its key in a handshake of the platform's engine with itself, in memory: only
 * then does it say whether it can use them.
 *
 * @module
 */

import { createSecureContext } from "node:tls";
import { TlsEngine, type TlsEngineOwner, type TlsSide } from "./engine.ts";
import type { TlsIdentity } from "../types.ts";

/** Milliseconds for the handshake, which takes a few. */
const patienceMs = 10_000;

/**
 * Completes a handshake.
 *
 * @throws {Error} (rejects) with the engine's message if it fails.
 */
export async function tryHandshake({ cert, key }: TlsIdentity): Promise<void> {
  const listener = new Half({ context: createSecureContext({ cert, key }) });
  const dialler = new Half({ trust: "anyone" });
  listener.other = dialler;
  dialler.other = listener;
  const timer = setTimeout(() => dialler.fail(new Error("it stands still")), patienceMs);
  try {
    await Promise.all([listener.secured, dialler.secured]);
  } finally {
    clearTimeout(timer);
    listener.destroy();
    dialler.destroy();
  }
}

/** One side of the handshake. */
class Half implements TlsEngineOwner {
  other: Half | undefined;
  readonly secured: Promise<void>;
  readonly #engine: TlsEngine;
  #onSecure: () => void = () => {};
  #onFailed: (error: Error) => void = () => {};
  /** The bytes that arrived before the engine accepts any; `null` once it does. */
  #early: Uint8Array[] | null = [];

  constructor(side: TlsSide) {
    this.secured = new Promise((resolve, reject) => {
      this.#onSecure = resolve;
      this.#onFailed = reject;
    });
    // Both sides report the same failure.
    this.secured.catch(() => {});
    this.#engine = new TlsEngine(side, this);
  }

  fail(error: Error): void {
    this.#onFailed(error);
  }

  destroy(): void {
    this.#engine.destroy();
  }

  take(bytes: Uint8Array): void {
    if (this.#early === null) this.#engine.feed(bytes);
    else this.#early.push(bytes);
  }

  onEngineSecure(): void {
    this.#onSecure();
  }

  onDeciphered(): void {}

  onDecipheredEnd(): void {}

  sendEnciphered(bytes: Uint8Array): boolean {
    this.other?.take(bytes.slice());
    return true;
  }

  onEngineRoom(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const bytes of early) this.#engine.feed(bytes);
  }

  onEngineDone(): void {}

  onEngineError(error: Error): void {
    this.fail(error);
  }

  onEngineClose(): void {
    this.fail(new Error("the handshake was given up"));
  }
}
