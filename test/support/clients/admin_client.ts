/**
 * Requests to a server's admin port, for tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** The samples of a scrape, by name and labels as they stand in it. */
export type Samples = ReadonlyMap<string, number>;

/** Scrapes the metrics. */
export async function scrape(adminUrl: string): Promise<Samples> {
  const response = await fetch(`${adminUrl}/metrics`);
  assertEquals(response.status, 200);
  return samplesOf(await response.text());
}

/** Reads Prometheus's text. */
function samplesOf(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const at = line.lastIndexOf(" ");
    samples.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return samples;
}

/** Asks whether the server is alive (`livez`) or ready (`readyz`). */
export async function health(
  adminUrl: string,
  which: "livez" | "readyz",
): Promise<{ readonly status: number; readonly reasons: readonly string[] }> {
  const response = await fetch(`${adminUrl}/${which}`);
  const { reasons } = await response.json() as { readonly reasons: readonly string[] };
  return { status: response.status, reasons };
}

/** Asks if the server is alive until it answers that it is; after a flood of connections nothing listens. */
export async function untilAnswered(adminUrl: string): Promise<void> {
  let status = 0;
  while (status === 0) {
    await sleep(50);
    try {
      ({ status } = await health(adminUrl, "livez"));
    } catch {
      // Nothing listens at the moment.
    }
  }
  assertEquals(status, 200);
}

/** A connection to an admin port on which a test says what it likes. */
export class RawHttp {
  readonly #socket: Socket;
  #answer = "";
  #hasEnded = false;
  #isConnected = false;

  constructor(adminUrl: string) {
    const { hostname, port } = new URL(adminUrl);
    this.#socket = createConnection({ host: hostname, port: Number(port) });
    this.#socket.on("connect", () => this.#isConnected = true);
    this.#socket.on("data", (bytes) => this.#answer += Buffer.from(bytes).toString("latin1"));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#hasEnded = true);
  }

  /** All that came so far. */
  get answer(): string {
    return this.#answer;
  }

  /** The status of the first answer; 0 before it has come. */
  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.#answer)?.[1] ?? 0);
  }

  /** True once the server has ended the connection. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** True if it was connected, or can't be. */
  get isSettled(): boolean {
    return this.#isConnected || this.#hasEnded;
  }

  /** True if it never was connected. */
  get isRefused(): boolean {
    return this.#hasEnded && !this.#isConnected;
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** Reads no more of what comes. */
  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }
}
