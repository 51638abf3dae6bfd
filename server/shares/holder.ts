import type { ErrorCode } from "../../protocol/errors.ts";
import type { TopicHolder } from "../topics/subscriber.ts";

/** The kinds of places that are scarce when a server is full. */
export type PlaceKind = "connections" | "topics";

/** A client as far as it holds places. */
export interface Occupant {
  /** Its IP address; empty on a Unix socket. */
  readonly remoteAddress: string;
  /** The holder that its places count for, and its slot there; only {@linkcode Holder} writes them. */
  holder: Holder | undefined;
  holderSlot: number;
  /** True while the server reads what the client sends. */
  readonly isHeard: boolean;
  /** True if the client has published, or is subscribed. */
  readonly isActive: boolean;
  /** A measure of the client's activity; the least active one gives way first. */
  readonly activity: number;
  /** When it last said something, on the coarse clock. */
  readonly heardMs: number;
  readonly topicCount: number;
  /** True if a topic has no other subscriber. */
  readonly hasTopicOfItsOwn: boolean;
  /** Ends it, and frees its descriptor without waiting for the peer. */
  yieldPlace(code: ErrorCode, detail: string): void;
}

/** Totals over all addresses, which each holder keeps up to date. */
export interface HolderTotals {
  /** Topics that count for an address. */
  topics: number;
  /** Addresses for which a topic counts. */
  topicHolders: number;
}

/** The places that the clients of one address, or of one /64 of IPv6, hold in this process. */
export class Holder implements TopicHolder {
  readonly site: string;
  /** Its clients that have a place, in no order. Each session knows its slot. */
  readonly sessions: Occupant[] = [];
  readonly #totals: HolderTotals;
  readonly #onEmpty: (holder: Holder) => void;
  #topics = 0;

  /** @param onEmpty Called when it holds nothing any more. */
  constructor(site: string, totals: HolderTotals, onEmpty: (holder: Holder) => void) {
    this.site = site;
    this.#totals = totals;
    this.#onEmpty = onEmpty;
  }

  /** The number of places of a kind that it holds. */
  held(kind: PlaceKind): number {
    return kind === "connections" ? this.sessions.length : this.#topics;
  }

  addTopic(): void {
    this.#totals.topics++;
    if (this.#topics++ === 0) this.#totals.topicHolders++;
  }

  removeTopic(): void {
    this.#totals.topics--;
    if (--this.#topics > 0) return;
    this.#totals.topicHolders--;
    if (this.sessions.length === 0) this.#onEmpty(this);
  }

  add(session: Occupant): void {
    session.holderSlot = this.sessions.length;
    this.sessions.push(session);
  }

  remove(session: Occupant): void {
    const last = this.sessions.pop();
    if (last !== undefined && last !== session) {
      this.sessions[session.holderSlot] = last;
      last.holderSlot = session.holderSlot;
    }
    session.holderSlot = -1;
    if (this.sessions.length === 0 && this.#topics === 0) this.#onEmpty(this);
  }
}
