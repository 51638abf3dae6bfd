import type { ErrorCode } from "../../protocol/errors.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { siteOf } from "../access/ip_address.ts";
import type { Room } from "../access/admission.ts";
import type { Holder, Occupant, PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";
import type { OtherProcesses } from "./other_processes.ts";
import { Ranking } from "./ranking.ts";

/** Clients of one address among which the server looks for the least active one. */
const SEEN_FOR_CONNECTION = 128;

/** The same number for topics, since each client may have as many. */
const SEEN_FOR_TOPIC = 32;

/** Clients that may be closed for one topic's place: their topics may have other subscribers. */
const CLOSED_FOR_TOPIC = 8;

/** Addresses that may be looked at for one place, if those that hold most have no client to close. */
const SEEN_HOLDERS = 4;

/**
 * The most clients that have given their place away and still have a descriptor: half of the descriptors
 * that are kept for connections beyond the maximum.
 */
export const MAX_YIELDING = 16;

/** The parts of the server that displacement uses. */
export interface DisplacementHost {
  readonly holders: Holders;
  readonly clock: CoarseClock;
  /** The addresses' shares on the server's other processes; `undefined` if it has only one. */
  readonly others: OtherProcesses | undefined;
  /** Called when a session gives its place away; it is about to end. */
  onDisplaced(session: Occupant): void;
  /** Called when a session is gone that gave its place away, if a newcomer waits for that. */
  onYielded(): void;
}

/**
 * Makes room in a full server: an address that holds more than its share gives way to one that holds
 * little. A share is what each address would have if all places were dealt out evenly.
 *
 * A newcomer gets the place of another address only under three conditions: its own address then holds at
 * most a share, the other one holds more than a share, and at least twice as much as the newcomer's would
 * then. So an address that holds a share or less loses nothing, no place goes to and fro between two
 * addresses, and if all clients come from one address nothing changes.
 */
export class Displacement {
  readonly #host: DisplacementHost;
  readonly #rankings: Readonly<Record<PlaceKind, Ranking>>;
  /** Sessions that have given their place away, until they are gone. */
  readonly #yielding = new Set<Occupant>();
  /** True if a newcomer waits until one of them is gone. */
  #isAwaited = false;

  constructor(host: DisplacementHost) {
    const { holders, clock } = host;
    this.#host = host;
    const rankingOf = (kind: PlaceKind) =>
      new Ranking(holders, (holder) => this.#leastHeld(holder, kind), clock);
    this.#rankings = { connections: rankingOf("connections"), topics: rankingOf("topics") };
  }

  /** The number of connections that have given their place away, and still have a descriptor. */
  get yieldingCount(): number {
    return this.#yielding.size;
  }

  /**
   * Tells whether the rules allow a place for this address. It is cheap, since every refused connection of
   * a flood asks it.
   *
   * @returns `unsettled` while the other processes are being asked what addresses hold there.
   */
  mayMakeRoom(address: string, kind: PlaceKind): Room {
    if (address === "") return "none";
    const knowledge = this.#host.others?.ask() ?? "free";
    if (knowledge !== "free") return knowledge;
    return this.#keepsToShare(siteOf(address), kind) ? "free" : "none";
  }

  /**
   * Gives another connection's place to one from this address, if the rules allow it.
   *
   * @param sparesActive True if only a client that does nothing may give its place away.
   * @returns `free` if a place is free now; `unsettled` while {@linkcode MAX_YIELDING} clients are giving
   * theirs away, which takes a turn of the loop, or a second at most.
   */
  makeRoom(address: string, maxConnections: number, sparesActive: boolean): Room {
    const room = this.mayMakeRoom(address, "connections");
    if (room !== "free") return room;
    if (this.#yielding.size >= MAX_YIELDING) {
      this.#isAwaited = true;
      return "unsettled";
    }
    const session = this.#findVictim(siteOf(address), "connections", sparesActive);
    if (session === undefined) return "none";
    this.#yielding.add(session);
    this.#host.onDisplaced(session);
    giveWay(session, "too_many_connections", `All ${maxConnections} connections are taken`);
    return "free";
  }

  /**
   * Makes room for a new topic of a client, if the rules allow it.
   *
   * @param look Tells whether there is room now.
   */
  makeRoomForTopic(address: string, maxTopics: number, look: () => Room): Room {
    let room = look();
    for (let closed = 0; closed < CLOSED_FOR_TOPIC && room === "none"; closed++) {
      const mayMakeRoom = this.mayMakeRoom(address, "topics");
      if (mayMakeRoom !== "free") return mayMakeRoom;
      const session = this.#findVictim(siteOf(address), "topics");
      if (session === undefined) return "none";
      giveWay(session, "too_many_topics", `All ${maxTopics} topics of the server are taken`);
      room = look();
    }
    return room;
  }

  /**
   * Removes a session that is gone.
   *
   * @returns True if it had its place until now.
   */
  leave(session: Occupant): boolean {
    this.#host.holders.remove(session);
    if (!this.#yielding.delete(session)) return true;
    if (this.#isAwaited) {
      this.#isAwaited = false;
      this.#host.onYielded();
    }
    return false;
  }

  #keepsToShare(site: string, kind: PlaceKind): boolean {
    const held = this.#mostHeld(site, kind);
    return (held + 1) * (this.#countHolders(kind).most + (held === 0 ? 1 : 0)) <= this.#total(kind);
  }

  #total(kind: PlaceKind): number {
    const { holders, others } = this.#host;
    return holders.total(kind) + (others?.total(kind) ?? 0);
  }

  #countHolders(kind: PlaceKind): { readonly least: number; readonly most: number } {
    const { holders, others } = this.#host;
    const own = holders.count(kind);
    return others?.countHolders(own, kind) ?? { least: own, most: own };
  }

  #leastHeld(holder: Holder, kind: PlaceKind): number {
    return this.#host.others?.leastHeld(holder, kind) ?? holder.held(kind);
  }

  #mostHeld(site: string, kind: PlaceKind): number {
    const { holders, others } = this.#host;
    const own = holders.find(site)?.held(kind) ?? 0;
    return others?.mostHeld(site, own, kind) ?? own;
  }

  #findVictim(site: string, kind: PlaceKind, sparesActive = false): Occupant | undefined {
    const ranking = this.#rankings[kind];
    let session = this.#findRanked(site, kind, sparesActive);
    if (session === undefined && ranking.renew()) {
      session = this.#findRanked(site, kind, sparesActive);
    }
    if (session !== undefined) ranking.noteChange();
    return session;
  }

  #findRanked(site: string, kind: PlaceKind, sparesActive: boolean): Occupant | undefined {
    const held = this.#mostHeld(site, kind);
    const total = this.#total(kind);
    const count = this.#countHolders(kind).least + (held === 0 ? 1 : 0);
    const ranking = this.#rankings[kind];
    for (let seen = 0; seen < SEEN_HOLDERS; seen++) {
      const holder = ranking.first();
      if (holder === undefined) return undefined;
      const most = this.#leastHeld(holder, kind);
      if (most * count <= total || most < 2 * (held + 1)) return undefined;
      const session = leastActive(holder, kind);
      if (session !== undefined && !(sparesActive && session.isActive)) return session;
      ranking.setAside(holder);
    }
    return undefined;
  }
}

function giveWay(session: Occupant, code: ErrorCode, what: string): void {
  session.yieldPlace(code, `${what}, and this address holds most of them`);
}

/** The least active client of an address. If there are many, it is looked for among some at random. */
function leastActive({ sessions }: Holder, kind: PlaceKind): Occupant | undefined {
  const most = kind === "connections" ? SEEN_FOR_CONNECTION : SEEN_FOR_TOPIC;
  const count = Math.min(most, sessions.length);
  const start = Math.floor(Math.random() * sessions.length);
  let found: Occupant | undefined;
  for (let i = 0; i < count; i++) {
    const session = sessions[(start + i) % sessions.length] as Occupant;
    if (!session.isHeard || kind === "topics" && session.topicCount === 0) continue;
    if (found === undefined || compare(session, found, kind) < 0) found = session;
  }
  return found;
}

/** Compares two sessions: a negative result means that the first one gives way first. */
function compare(a: Occupant, b: Occupant, kind: PlaceKind): number {
  if (kind === "connections") return a.activity - b.activity || a.heardMs - b.heardMs;
  return Number(b.hasTopicOfItsOwn) - Number(a.hasTopicOfItsOwn) ||
    a.activity - b.activity || b.topicCount - a.topicCount || a.heardMs - b.heardMs;
}
