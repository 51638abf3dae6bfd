import { siteOf } from "../access/ip_address.ts";
import { Holder, type HolderTotals, type Occupant, type PlaceKind } from "./holder.ts";

/**
 * The holders of a process's places, by address. Peers on Unix sockets have no address, and don't count.
 */
export class Holders {
  readonly #bySite = new Map<string, Holder>();
  readonly #totals: HolderTotals = { topics: 0, topicHolders: 0 };
  #connections = 0;

  readonly #onEmpty = (holder: Holder): void => {
    if (this.#bySite.get(holder.site) === holder) this.#bySite.delete(holder.site);
  };

  /** The holder for an address; `undefined` if it holds nothing. */
  find(site: string): Holder | undefined {
    return this.#bySite.get(site);
  }

  /** All holders. */
  all(): Iterable<Holder> {
    return this.#bySite.values();
  }

  /** The number of places of a kind that all of them hold. */
  total(kind: PlaceKind): number {
    return kind === "connections" ? this.#connections : this.#totals.topics;
  }

  /** The number of holders that have a place of a kind. */
  count(kind: PlaceKind): number {
    // A holder without connections, whose last topic ends with a pass, still counts until then.
    return kind === "connections" ? this.#bySite.size : this.#totals.topicHolders;
  }

  /** Adds a session that has begun, and has a place. */
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

  /** Frees a session's place, if it has one. */
  remove(session: Occupant): void {
    if (session.holderSlot < 0) return;
    session.holder?.remove(session);
    this.#connections--;
  }
}
