/**
 * What each conformance case runs in: listeners and connections that are all cleaned up after it,
 * and checked.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import type {
  Address,
  Connection,
  ConnectOptions,
  Listener,
  ListenOptions,
  Runtime,
  TlsTrust,
} from "../../../runtime/types.ts";
import { Fixture, runScript } from "../../support/processes/fixture.ts";
import { FIRST, trustIn } from "../../support/identities.ts";
import type { RawPeer } from "../../support/clients/raw_peer.ts";
import { Side } from "../../support/side.ts";
import { quiet, until } from "../../support/until.ts";

const fixtures = fileURLToPath(import.meta.resolve("./fixtures/"));

/** The wires of a case's connections. */
export type Wire = Address["transport"] | "tls";

/** Features that some runtimes lack. */
export type Feature =
  | "accept errors"
  | "arrived bytes"
  | "deep backlog"
  | "held records"
  | "IPv6"
  | "keep-alive"
  | "names"
  | "processes"
  | "reads in turns"
  | "reusePort"
  | "system addresses"
  | "TLS"
  | "Unix files"
  | "waiting accepts";

/** The facts about a runtime that the suite needs. */
export interface Capabilities {
  /** A peer that can abort. */
  dialRawPeer(runtime: Runtime, address: Address, tls?: TlsTrust): Promise<RawPeer>;
  /** Waits until nothing more happens; some time passes unless given. */
  readonly settled?: (runtime: Runtime) => Promise<void>;
  /** The features that it lacks, each with the reason; cases that need one are reported as skipped. */
  readonly lacks: Readonly<Partial<Record<Feature, string>>>;
}

/** The two sides of one connection. */
export interface Pair {
  /** The side that was accepted. */
  readonly near: Side;
  /** The side that connected. */
  readonly far: Side;
}

/** The options to connect over `wire` to a listener that is {@linkcode Bed.anywhere}. */
export function trustFor(wire: Wire): { tls?: TlsTrust } {
  return wire === "tls" ? { tls: trustIn(FIRST) } : {};
}

/** Declares cases for one runtime. */
export class Cases {
  readonly #make: () => Promise<Runtime>;
  readonly #capabilities: Capabilities;

  constructor(make: () => Promise<Runtime>, capabilities: Capabilities) {
    this.#make = make;
    this.#capabilities = capabilities;
  }

  /** A case for every runtime. */
  that(name: string, body: (bed: Bed) => Promise<void>): void {
    it(name, { timeout: 60_000 }, () => this.#run(body));
  }

  /** A case for the runtimes that have `feature`. */
  where(feature: Feature, name: string, body: (bed: Bed) => Promise<void>): void {
    const reason = this.#capabilities.lacks[feature];
    if (reason === undefined) this.that(name, body);
    else it.skip(`${name} (${reason})`, () => {});
  }

  async #run(body: (bed: Bed) => Promise<void>): Promise<void> {
    const bed = new Bed(await this.#make(), this.#capabilities);
    try {
      await body(bed);
    } catch (error) {
      await bed.shut().catch(() => {});
      throw error;
    }
    await bed.shut();
    assertEquals(bed.breaches(), []);
  }
}

/** One case's listeners and connections. */
export class Bed {
  readonly runtime: Runtime;
  readonly #capabilities: Capabilities;
  readonly #sides: Side[] = [];
  readonly #listeners: Listener[] = [];
  readonly #rawPeers: RawPeer[] = [];
  readonly #fixtures: Fixture[] = [];
  #folder: string | undefined;
  #files = 0;

  constructor(runtime: Runtime, capabilities: Capabilities) {
    this.runtime = runtime;
    this.#capabilities = capabilities;
  }

  has(feature: Feature): boolean {
    return this.#capabilities.lacks[feature] === undefined;
  }

  /** Gives what must not happen the time to happen. */
  quiet(ms?: number): Promise<void> {
    return this.#capabilities.settled?.(this.runtime) ?? quiet(ms);
  }

  /** A path for a Unix socket, of this case's own. */
  path(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), "hotwheels-"));
    return join(this.#folder, `${++this.#files}.sock`);
  }

  /** An address to listen on: a port of the system's choice, or a file. */
  anywhere(wire: Wire): ListenOptions {
    if (wire === "unix") return { transport: wire, path: this.path() };
    const options = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
    return wire === "tls" ? { ...options, tls: FIRST } : options;
  }

  /** Listens, and hands each accepted side to `accepted` before its handler is known. */
  async listen(
    accepted: (side: Side) => void = () => {},
    options: ListenOptions = this.anywhere("tcp"),
  ): Promise<Listener> {
    const listener = await this.runtime.listen(options, (connection) => {
      const side = this.#side(connection);
      accepted(side);
      return side;
    });
    this.#listeners.push(listener);
    return listener;
  }

  async connect(options: ConnectOptions, began: (side: Side) => void = () => {}): Promise<Side> {
    let side: Side | undefined;
    const connection = await this.runtime.connect(options, (connection) => {
      side = this.#side(connection);
      began(side);
      return side;
    });
    assertEquals(side?.connection === connection, true, "connect() and accept() share one object");
    return side!;
  }

  /** One connection, by a listener of its own. */
  async pair(
    wire: Wire = "tcp",
    accepted: (side: Side) => void = () => {},
  ): Promise<Pair> {
    let near: Side | undefined;
    const listener = await this.listen((side) => {
      near = side;
      accepted(side);
    }, this.anywhere(wire));
    const far = await this.connect({ ...listener.address, ...trustFor(wire) });
    await until("the connection is accepted", () => near !== undefined);
    return { near: near!, far };
  }

  /** One connection from a peer that can abort. */
  async rawPair(
    wire: Wire,
    accepted: (side: Side) => void = () => {},
  ): Promise<{ near: Side; raw: RawPeer }> {
    let near: Side | undefined;
    const listener = await this.listen((side) => {
      near = side;
      accepted(side);
    }, this.anywhere(wire));
    const raw = await this.dialRaw(listener.address, trustFor(wire).tls);
    await until("the raw peer is accepted", () => near !== undefined);
    return { near: near!, raw };
  }

  async dialRaw(address: Address, tls?: TlsTrust): Promise<RawPeer> {
    const raw = await this.#capabilities.dialRawPeer(this.runtime, address, tls);
    this.#rawPeers.push(raw);
    return raw;
  }

  #side(connection: Connection): Side {
    const side = new Side(connection);
    this.#sides.push(side);
    return side;
  }

  /** Starts one of the scripts in `fixtures/`. */
  start(script: string, args: readonly string[] = [], descriptors?: number): Fixture {
    const fixture = new Fixture(join(fixtures, script), args, descriptors);
    this.#fixtures.push(fixture);
    return fixture;
  }

  /** Runs one of the scripts in `fixtures/` to its end, while this process does nothing else. */
  run(script: string, args: readonly string[]): void {
    runScript(join(fixtures, script), args);
  }

  /** Ends everything, and waits for it. */
  async shut(): Promise<void> {
    await Promise.all(this.#fixtures.map((fixture) => fixture.stop()));
    for (const raw of this.#rawPeers) raw.reset();
    for (const side of this.#sides) if (side.why === null) side.destroy();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    try {
      await until(
        "every connection is closed",
        () => this.#sides.every((side) => side.why !== null),
      );
    } finally {
      if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** Breaches of the contract that any side saw. */
  breaches(): string[] {
    return this.#sides.flatMap((side) => side.breaches);
  }
}
