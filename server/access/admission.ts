/**
 * Whether a limit leaves room for one more. `unsettled`: only the server's other processes know, and
 * they are being asked.
 */
export type Room = "free" | "none" | "unsettled";

/** Why a connection may not stay. */
export interface Refusal {
  /** In a sentence, for the client and the log. */
  readonly detail: string;
  /** Whether it's time to report one like this again. */
  readonly isNews: boolean;
  /** Whether it's because of where the connection comes from. */
  readonly isOfAddress: boolean;
}

/** Why one process has no room for a connection, whatever the limits say. */
export interface Shortage extends Refusal {
  /** Whether only connections whose clients do nothing give way: it may be over in a moment. */
  readonly sparesActive: boolean;
}

/** A connection about which the server's other processes are asked. What it gets on the way is its. */
export interface Attempt {
  /** Whether and why it may not stay; `unsettled` where the caller has to wait and try again. */
  retry(): Refusal | "unsettled" | undefined;
  /** The connection has gone before that was settled. */
  abandon(): void;
}

/** The limits that hold for connections before anything is known of them but their address. */
export interface Admission {
  /** How many addresses are remembered. */
  readonly addressCount: number;
  /**
   * Counts a connection that comes from an address.
   *
   * @param address Empty for a peer on this machine, which no limit of one address holds for.
   * @param shortage Why this process has no room for it, unless another connection gives way.
   * @returns Why it may not stay, in which case it isn't counted but as an attempt. Where that isn't
   * settled yet, what settles it: the caller has to wait.
   */
  admit(address: string, shortage?: Shortage | undefined): Refusal | Attempt | undefined;
  /** A connection that was counted is gone. */
  leave(address: string): void;
  /** Whether a key that comes from an address which has a connection may be looked at at once. */
  roomForKey(address: string): Room;
  /** A key from an address which has a connection was wrong. */
  noteWrongKey(address: string): void;
  /** Forgets what is over. To be called about once a sweep. */
  sweep(): void;
}

/** The server is full. */
export function allTaken(maxConnections: number): Refusal {
  const detail = `All ${maxConnections} connections are taken`;
  return { detail, isNews: true, isOfAddress: false };
}

/** The server's memory is short. */
export function memoryIsShort(): Refusal {
  return { detail: "Memory is too short for more connections", isNews: true, isOfAddress: false };
}

/** One of a server's processes has as many connections as its descriptors are enough for. */
export function allOfProcessTaken(maxConnections: number): Refusal {
  const detail = `All ${maxConnections} connections of one of the server's processes are taken`;
  return { detail, isNews: true, isOfAddress: false };
}

/** An address has all the connections that it may have. */
export function allOfAddressTaken(maxConnectionsPerIp: number): string {
  return `All ${maxConnectionsPerIp} connections of one address are taken`;
}

/** An address makes more connections than it may. */
export function tooFast(acceptRate: number): string {
  return `More than ${acceptRate} connections a second come from one address`;
}
