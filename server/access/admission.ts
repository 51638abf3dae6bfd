/**
 * A limit's answer to the question whether there is room for one more. `unsettled`: only the server's
 * other processes know, and they are being asked.
 */
export type Room = "free" | "none" | "unsettled";

/** The reason why a connection may not stay. */
export interface Refusal {
  /** One sentence, for the client and the log. */
  readonly detail: string;
  /** True if the last report of this kind is long enough ago. */
  readonly isNews: boolean;
  /** True if the limit is one of the connection's address. */
  readonly isOfAddress: boolean;
}

/** The reason why this process has no room for a connection, whatever the limits say. */
export interface Shortage extends Refusal {
  /** True if only clients that do nothing may give way, because the shortage may be over in a moment. */
  readonly sparesActive: boolean;
}

/** A connection that waits for the server's other processes. It keeps the permits that it gets meanwhile. */
export interface Attempt {
  /**
   * Tries to get what is still missing.
   *
   * @returns The reason why the connection may not stay, `undefined` if it may, or `unsettled` if the
   * caller has to wait and try again.
   */
  retry(): Refusal | "unsettled" | undefined;
  /** Gives back what it has, because the connection has gone. */
  abandon(): void;
}

/** Decides which connections may stay, when only their addresses are known. */
export interface Admission {
  /** The number of addresses that are remembered. */
  readonly addressCount: number;
  /**
   * Counts a connection that comes from an address.
   *
   * @param address Empty for a peer on a socket of this machine, which has no limit of its own.
   * @param shortage The reason why this process has no room for it, unless another connection gives way.
   * @returns The reason why it may not stay; then it counts only as an attempt. If only other processes
   * can tell, the attempt that the caller has to retry. `undefined` if it may stay.
   */
  admit(address: string, shortage?: Shortage | undefined): Refusal | Attempt | undefined;
  /** Removes a connection that was counted. */
  leave(address: string): void;
  /** Tells whether a key from this connected address may be checked at once. */
  roomForKey(address: string): Room;
  /** Counts a wrong key from this connected address. */
  noteWrongKey(address: string): void;
  /** Forgets addresses that need not be remembered. To be called about once a sweep. */
  sweep(): void;
}

/** Refuses because the server is full. */
export function allTaken(maxConnections: number): Refusal {
  const detail = `All ${maxConnections} connections are taken`;
  return { detail, isNews: true, isOfAddress: false };
}

/** Refuses because memory is short. */
export function memoryIsShort(): Refusal {
  return { detail: "Memory is too short for more connections", isNews: true, isOfAddress: false };
}

/** Refuses because this process has as many connections as its descriptors allow. */
export function allOfProcessTaken(maxConnections: number): Refusal {
  const detail = `All ${maxConnections} connections of one of the server's processes are taken`;
  return { detail, isNews: true, isOfAddress: false };
}

/** Says that an address has all the connections that it may have. */
export function allOfAddressTaken(maxConnectionsPerIp: number): string {
  return `All ${maxConnectionsPerIp} connections of one address are taken`;
}

/** Says that an address makes connections faster than it may. */
export function tooFast(acceptRate: number): string {
  return `More than ${acceptRate} connections a second come from one address`;
}
