import type { RuntimeName } from "../../../cli/program.ts";
import { ClientProcess } from "./client_process.ts";
import type { Faults } from "../checks/faults.ts";
import type { StrikeHistory } from "../checks/strike_history.ts";
import type { Keys } from "./healthy_client.ts";
import {
  type LibraryDoor,
  type LibraryNote,
  type LibraryOrder,
  type LibraryRecord,
} from "./library_order.ts";
import type { PeerTarget } from "./peer.ts";

/** The server that the client library is tried with, and the runtime that runs it. */
export interface LibraryPlace {
  readonly runtime: RuntimeName;
  readonly target: PeerTarget;
  /** The port for WebSockets; `null` if the server has none. */
  readonly webSocketPort: number | null;
  /** A file with the certificate authorities to trust; `null` without TLS. */
  readonly caFile: string | null;
  readonly keys: Keys | null;
  readonly patienceMs: number;
}

/** Milliseconds after its patience within which the process reports. Closing takes some, too. */
const TELL_MS = 30_000;

/**
 * Reasons for a gap that the server may have at any time: under attack it gives up what it stores before it
 * lets clients wait for memory.
 */
const ALWAYS_ALLOWED = ["too_old"];

/** Reasons that a worker's end, or its hang, explains. */
const EXPLAINED_BY_STRIKES = ["ok", "gap", "unknown_origin"];

/**
 * A program that uses the client library, in a process of its own: over each door of the server a publisher,
 * and a reader that must get each message once, through all breaks.
 */
export class LibraryMember {
  readonly #process: ClientProcess;
  readonly #faults: Faults;
  readonly #strikes: StrikeHistory;
  readonly #over = Promise.withResolvers<void>();
  #doors: Readonly<Partial<Record<LibraryDoor, LibraryRecord>>> = {};
  #isLeaving = false;

  constructor(place: LibraryPlace, faults: Faults, strikes: StrikeHistory) {
    this.#faults = faults;
    this.#strikes = strikes;
    const script = import.meta.resolve("./library_client.ts");
    // A WebSocket trusts what its process was told to trust at its start.
    const environment = place.caFile === null ? {} : { NODE_EXTRA_CA_CERTS: place.caFile };
    this.#process = new ClientProcess(place.runtime, script, orderOf(place), (note) => {
      this.#take(note as LibraryNote);
    }, environment);
    this.#process.ended.then((how) => {
      if (!this.#isLeaving) {
        faults.add("not_connected", `the process of the client library ended with ${how}`);
      }
      this.#over.resolve();
    });
  }

  /**
   * Stops publishing, waits for messages on their way, reports those that never arrived, and leaves.
   *
   * @param hadTime True if there was time to connect: then a door that brought nothing is a fault.
   * @returns What its clients did, by door.
   */
  async settle(
    patienceMs: number,
    hadTime: boolean,
  ): Promise<Readonly<Partial<Record<LibraryDoor, LibraryRecord>>>> {
    this.#process.finish();
    const timer = setTimeout(() => {
      this.#faults.add("missing", "the process of the client library doesn't answer");
      this.#over.resolve();
    }, patienceMs + TELL_MS);
    await this.#over.promise;
    clearTimeout(timer);
    for (const [door, { delivered }] of Object.entries(this.#doors)) {
      if (hadTime && delivered === 0) {
        this.#faults.add("missing", `the client library over ${door} got no message at all`);
      }
    }
    this.#isLeaving = true;
    this.#process.kill();
    return this.#doors;
  }

  #take(note: LibraryNote): void {
    if (this.#isLeaving) return;
    if (note.is === "over") {
      this.#doors = note.doors;
      this.#over.resolve();
    } else if (note.is === "fault") {
      this.#faults.add(note.kind, `client library over ${note.door}: ${note.detail}`, note.count);
    } else if (!this.#isAllowed(note)) {
      const { door, reason, crashed } = note;
      const why = crashed === 0 ? reason : `${reason}, ${crashed} processes crashed`;
      this.#faults.add("gap", `client library over ${door}: ${why}, and no strike explains it`);
    }
  }

  #isAllowed({ reason, sinceMs }: LibraryNote & { is: "gap" }): boolean {
    if (ALWAYS_ALLOWED.includes(reason)) return true;
    const nowMs = performance.now();
    return EXPLAINED_BY_STRIKES.includes(reason) &&
      this.#strikes.hasOneBetween(nowMs - sinceMs, nowMs);
  }
}

function orderOf({ target, webSocketPort, keys, patienceMs }: LibraryPlace): LibraryOrder {
  const { hostname, port, tls } = target;
  const s = tls === undefined ? "" : "s";
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    urls: {
      tcp: `hotwheels${s}://${host}:${port}`,
      ...webSocketPort === null ? {} : { websocket: `ws${s}://${host}:${webSocketPort}` },
    },
    ca: tls?.ca ?? null,
    keys,
    patienceMs,
  };
}
