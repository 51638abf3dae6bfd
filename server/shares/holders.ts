import { siteOf } from "../access/ip_address.ts";
import { Holder, type HolderTotals, type Occupant, type PlaceKind } from "./holder.ts";

/**
 * Who holds a process's places, by address. Peers on this machine's own sockets, which have none, aren't
 * among them.
 */
export class Holders {
  readonly #bySite = new Map<string, Holder>();
  readonly #totals: HolderTotals = { topics: 0, topicHolders: 0 };
  #connections = 0;

  readonly #onEmpty = (holder: Holder): void => {
    if (this.#bySite.get(holder.site) === holder) this.#bySite.delete(holder.site);
  };

  /** The holder of an address, if it holds anything. */
  find(site: string): Holder | undefined {
    return this.#bySite.get(site);
  }

  /** All that hold anything. */
  all(): Iterable<Holder> {
    return this.#bySite.values();
  }

  /** How many places of a kind all of them hold. */
  total(kind: PlaceKind): number {
    return kind === "connections" ? this.#connections : this.#totals.topics;
  }

  /** How many of them hold a place of a kind. */
  count(kind: PlaceKind): number {
    // One without connections, whose last topic goes at the end of a pass, is soon none.
    return kind === "connections" ? this.#bySite.size : this.#totals.topicHolders;
  }

  /** A session has begun, and has a place. */
  add(session: Occupant): void {
    const { remoteAddress } = session;
    if (remoteAddress === "") return;
    const site = siteOf(remoteAddress);
    let holder = this.#bySite.get(site);
    if (holder === undefined) {
      holder = new Holder(site, this.#totals, this.#onEmpty);
      this.#bySite.set(site, holder);
    }
    session.holder = holder;
    holder.add(session);
    this.#connections++;
  }

  /** A session's place is free. Nothing where it was before. */
  remove(session: Occupant): void {
    if (session.holderSlot < 0) return;
    session.holder?.remove(session);
    this.#connections--;
  }
}
