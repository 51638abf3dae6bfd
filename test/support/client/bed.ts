/**
 * What the cases of the client's suite need of the machine: servers, and places where connections break.
 * All that goes in and out is JSON, so that a page can ask for it too.
 *
 * @module
 */

/** The ports of a server. */
export interface Ports {
  readonly id: number;
  readonly tcp: number;
  readonly ws: number;
}

/** A server with TLS. */
export interface SecureServer extends Ports {
  /** The certificate of the authority that signed its own, as PEM text. */
  readonly ca: string;
  /** That of another authority. */
  readonly wrongCa: string;
}

/** A message of a scripted server: the origin, microseconds, and the data. */
export type Scripted = readonly [origin: string, micros: number, data: unknown];

/** How a scripted server behaves. */
export interface Script {
  /** The messages of topic `t`, in their order. */
  readonly log?: readonly Scripted[];
  /**
   * For each connection in turn the bytes that the server sends before it ends; whole ones after these.
   */
  readonly cuts?: readonly number[];
  /** It doesn't know `resume`, and acknowledges only. */
  readonly isOld?: boolean;
  /** It answers no publish with a receipt. */
  readonly withholdsReceipts?: boolean;
  /** It says nothing after the greeting. */
  readonly isMute?: boolean;
  /** It sends `PING` behind the greeting. */
  readonly pings?: boolean;
  /** It names a crashed origin when a client comes back. */
  readonly crashed?: readonly string[];
  /** It ends the connection when a client publishes. */
  readonly hangsUpOnPublish?: boolean;
  /** It sends this text instead of a greeting. */
  readonly greeting?: string;
}

/** The door of a server that a client goes through. */
export type Door = "tcp" | "ws";

export interface Bed {
  /** The server that cases share which need no other. */
  plain(): Promise<Ports>;
  /** Starts this project's server, both doors open. */
  start(flags: readonly string[]): Promise<Ports>;
  /** Starts this project's server with TLS, its certificate for `localhost`. */
  startSecure(): Promise<SecureServer>;
  /** Asks a server to end, or kills it, and waits until it has ended. */
  stop(id: number, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts another one in its place, on other ports: somebody may have taken its own meanwhile. */
  restart(id: number): Promise<Ports>;
  /** Kills all workers of a server, which replaces them. */
  killWorkers(id: number): Promise<void>;
  /** What a server has logged. */
  log(id: number): Promise<string>;
  /** Starts a scripted server. @returns its port. */
  script(door: Door, script: Script): Promise<number>;
  /** What clients have said to a scripted server, by connection. */
  heard(port: number): Promise<string[][]>;
  /** Stands in front of a port. @returns the port in front. */
  proxy(port: number): Promise<number>;
  /** Lets a proxy stand in front of another port. */
  aim(proxy: number, port: number): Promise<void>;
  /** Cuts the connections of a proxy, or lets no new ones through, or lets nothing through. */
  disturb(proxy: number, how: "cut" | "close" | "open" | "freeze"): Promise<void>;
  /** Ends everything. */
  dispose(): Promise<void>;
}
