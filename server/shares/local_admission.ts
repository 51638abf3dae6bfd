import type { AddressTable } from "../access/address_table.ts";
import {
  type Admission,
  allTaken,
  type Refusal,
  type Room,
  type Shortage,
} from "../access/admission.ts";
import type { Limits } from "../limits.ts";
import type { Displacement } from "./displacement.ts";

/** Admits connections to a server that has one process. */
export class LocalAdmission implements Admission {
  readonly #limits: Limits;
  readonly #sessions: { readonly size: number };
  readonly #addresses: AddressTable;
  readonly #displacement: Displacement;

  constructor(
    limits: Limits,
    sessions: { readonly size: number },
    addresses: AddressTable,
    displacement: Displacement,
  ) {
    this.#limits = limits;
    this.#sessions = sessions;
    this.#addresses = addresses;
    this.#displacement = displacement;
  }

  get addressCount(): number {
    return this.#addresses.size;
  }

  admit(address: string, shortage?: Shortage | undefined): Refusal | undefined {
    const { maxConnections } = this.#limits;
    const isFull = this.#sessions.size - this.#displacement.yieldingCount >= maxConnections;
    const full = shortage ?? (isFull ? allTaken(maxConnections) : undefined);
    if (full !== undefined && this.#displacement.mayMakeRoom(address, "connections") === "none") {
      return full;
    }
    const refusal = this.#addresses.admit(address);
    if (refusal !== undefined) return { ...refusal, isOfAddress: true };
    if (full === undefined) return undefined;
    const sparesActive = shortage?.sparesActive ?? false;
    if (this.#displacement.makeRoom(address, maxConnections, sparesActive) === "free") {
      return undefined;
    }
    this.#addresses.leave(address);
    return full;
  }

  leave(address: string): void {
    this.#addresses.leave(address);
  }

  roomForKey(address: string): Room {
    return this.#addresses.mayShowKey(address) ? "free" : "none";
  }

  noteWrongKey(address: string): void {
    this.#addresses.noteWrongKey(address);
  }

  sweep(): void {
    this.#addresses.sweep();
  }
}
