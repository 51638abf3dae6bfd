import type { ErrorCode } from "../../protocol/errors.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { siteOf } from "../access/ip_address.ts";
import type { Room } from "../access/admission.ts";
import type { Holder, Occupant, PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";
import type { OtherProcesses } from "./other_processes.ts";
import { Ranking } from "./ranking.ts";

/** Clients of one address among which the one is looked for that does least. */
const SEEN_FOR_CONNECTION = 128;

/** The same where each may be subscribed to as many topics. */
const SEEN_FOR_TOPIC = 32;

/** Clients that may be closed for one topic's place: others may be subscribed to their topics too. */
const CLOSED_FOR_TOPIC = 8;

/** Addresses that may be looked at for one place, where those that hold most have nobody to close. */
const SEEN_HOLDERS = 4;

/**
 * Clients that have given their place away and still have a descriptor, at most: half of those that are
 * kept for connections beyond the maximum.
 */
export const MAX_YIELDING = 16;

/** What displacement needs of the server. */
export interface DisplacementHost {
  readonly holders: Holders;
  readonly clock: CoarseClock;
  /** What addresses hold on the server's other processes, where it has some. */
  readonly others: OtherProcesses | undefined;
  /** A session that is about to end gives its place away. */
  onDisplaced(session: Occupant): void;
  /** Somebody was told to wait for one that gives its place away, and that is gone. */
  onYielded(): void;
}

/**
 * Makes room in a full server: an address that holds more than its share gives way to one that holds
 * little. A share is what each address would have if all places were dealt out evenly.
 *
 * A newcomer gets a place of another's only if with it its address holds no more than a share, and only
 * of an address that holds more than one and at least twice as much as the newcomer's would then. So who
 * holds a share or less loses nothing, no place goes to and fro between two addresses, and where all come
 * from one address nothing changes.
 */
export class Displacement {
  readonly #host: DisplacementHost;
  readonly #rankings: Readonly<Record<PlaceKind, Ranking>>;
  /** Those whose place is another's, until they are gone. */
  readonly #yielding = new Set<Occupant>();
  /** Whether somebody waits for one of them to be gone. */
  #isAwaited = false;

  constructor(host: DisplacementHost) {
    const { holders, clock } = host;
    this.#host = host;
    const rankingOf = (kind: PlaceKind) =>
      new Ranking(holders, (holder) => this.#leastHeld(holder, kind), clock);
    this.#rankings = { connections: rankingOf("connections"), topics: rankingOf("topics") };
  }

  /** Connections that have no place any more, but a descriptor. */
  get yieldingCount(): number {
    return this.#yielding.size;
  }

  /**
   * Whether a place may be made for an address at all. Cheap: a flood that is refused asks it.
   *
   * @returns `unsettled` where the other processes are being asked, who holds how much of theirs.
   */
  mayMakeRoom(address: string, kind: PlaceKind): Room {
    if (address === "") return "none";
    const knowledge = this.#host.others?.knowledge ?? "free";
    if (knowledge !== "free") return knowledge;
    return this.#keepsToShare(siteOf(address), kind) ? "free" : "none";
  }

  /**
   * Takes a connection's place for one that comes from an address, if it may.
   *
   * @param sparesActive Whether only one whose client does nothing may give its place away.
   * @returns Whether a place is free now; `unsettled` where as many as may are giving theirs away, which
   * takes a turn of the loop, or a second at most.
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
   * Makes room for a topic of a client's, if it may.
   *
   * @param look Whether there is room now.
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
   * A session is gone.
   *
   * @returns Whether it had its place until now.
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

/** The client of an address that does least: of many, of some that are picked at random. */
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

/** Which of two gives way first, the first if negative. */
function compare(a: Occupant, b: Occupant, kind: PlaceKind): number {
  if (kind === "connections") return a.activity - b.activity || a.heardMs - b.heardMs;
  return Number(b.hasTopicOfItsOwn) - Number(a.hasTopicOfItsOwn) ||
    a.activity - b.activity || b.topicCount - a.topicCount || a.heardMs - b.heardMs;
}
