import type { Gate } from "./gate.ts";
import type { OwedReceipt } from "./owed_receipts.ts";

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
  /** Where publishers should wait before they publish more, if they should. */
  readonly gate: Gate | undefined;
}
