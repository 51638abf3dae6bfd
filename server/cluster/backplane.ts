import type { Gate } from "../flow/gate.ts";
import type { OwedReceipt } from "./owed_receipts.ts";

/** Another process of the server, for which more waits than may although it gives no sign of life. */
export interface OverdueProcess {
  /** The path of its socket. */
  readonly path: string;
  /** What waits for it, in bytes. */
  readonly owedBytes: number;
  /** For how long it has given no sign of life, in milliseconds. */
  readonly silentMs: number;
}

/** Another process of the server, which hasn't taken what it should have. */
export interface OwedProcess {
  /** The path of its socket. */
  readonly path: string;
  /** What it hasn't said that it has had, in bytes. */
  readonly keptBytes: number;
}

/** Another process of the server, to which a link that stood can't be had again. */
export interface UnreachableProcess {
  /** The path of its socket. */
  readonly path: string;
  /** Whether it's this process that lacks something. */
  readonly isOwnFault: boolean;
  /** For how long there has been no link, in milliseconds. */
  readonly downMs: number;
  /** Why, in words. */
  readonly cause: string;
}

/** Carries messages between the processes of one server. */
export interface Backplane {
  /**
   * Hands a message that was accepted here to every other process, in the order of the calls.
   *
   * @param micros The timestamp that it was accepted with; it's the same everywhere.
   * @param message Copied.
   */
  forward(topic: string, micros: number, message: Uint8Array): void;
  /**
   * The same, and tells the receipt what became of the message in each of them. One that ends, or
   * doesn't tell within {@linkcode RECEIPT_DEADLINE_MS}, is left out.
   *
   * @param owed Whose timestamp is the message's.
   */
  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void;
  /** Where all publishers should wait before they publish more, if they should. */
  readonly gate: Gate | undefined;
  /** Where publishers of a topic should wait for its readers in other processes, if they should. */
  gateOf(topic: string): Gate | undefined;
}
