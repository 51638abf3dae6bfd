import type { Position } from "../../protocol/resume.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import type { OwedReceipt } from "./owed_receipts.ts";

/** Another process of the server that gives no sign of life, while more waits for it than may. */
export interface OverdueProcess {
  /** The path of its socket. */
  readonly path: string;
  /** Bytes that wait for it. */
  readonly owedBytes: number;
  /** Milliseconds for which it has given no sign of life. */
  readonly silentMs: number;
}

/** Another process of the server that hasn't taken all that was sent to it. */
export interface OwedProcess {
  /** The path of its socket. */
  readonly path: string;
  /** Bytes that it hasn't acknowledged. */
  readonly keptBytes: number;
}

/** Another process of the server, to which a link broke and can't be restored. */
export interface UnreachableProcess {
  /** The path of its socket. */
  readonly path: string;
  /** True if this process lacks something, such as a descriptor. */
  readonly isOwnFault: boolean;
  /** Milliseconds for which there has been no link. */
  readonly downMs: number;
  /** The reason, in words. */
  readonly cause: string;
}

/** Carries messages between the processes of one server. */
export interface Backplane {
  /**
   * Hands a message that was accepted here to every other process, in the order of the calls.
   *
   * @param micros Its timestamp, in microseconds since the Unix epoch; the same in all processes.
   * @param message Copied.
   */
  forward(topic: string, micros: number, message: Uint8Array): void;
  /**
   * The same, and adds to the receipt what became of the message in each process. A process that ends, that
   * gives no sign of life for {@linkcode STALL_MS}, or that doesn't answer within
   * {@linkcode RECEIPT_DEADLINE_MS}, is left out.
   *
   * @param message Copied.
   * @param owed The receipt; its timestamp is the message's.
   */
  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void;
  /** The gate where all publishers should wait now; `undefined` if they need not. */
  readonly gate: Gate | undefined;
  /** The gate where a topic's publishers should wait for its readers in other processes, if they should. */
  gateOf(topic: string): Gate | undefined;
  /**
   * The place where a client waits that has come back from another process with this position, until this
   * process knows as much; `undefined` if it does.
   */
  placeBehind(position: Position): WaitingPlace | undefined;
}
