/**
 * The way from a server's options to a part of a cluster.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import manifest from "../package.json" with { type: "json" };
import { EnvironmentError } from "../cli/command_line.ts";
import type { Limits } from "./limits.ts";
import type { ClusterSettings } from "./machines/cluster_host.ts";
import type { Joined } from "./machines/joining/joining.ts";
import { BATCH_HEADER_BYTES } from "./machines/wire/frame_codec.ts";
import { DEFAULT_LOG_BYTES, DEFAULT_LOG_MS, HISTORY_PIECE_BYTES } from "./machines/wire/limits.ts";
import { NatsFault, type NatsOptions, NatsTransport } from "./machines/nats/nats_transport.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./machines/outgoing.ts";
import type { ClusterEvents } from "./machines/report.ts";
import type { Server } from "./server.ts";

/** The options of a cluster of machines, which speak over NATS. */
export interface ServeClusterOptions {
  /** Servers of NATS, such as `nats://10.0.0.5:4222`, or `tls://10.0.0.5:4222` for TLS only; all alike. */
  readonly servers: readonly string[];
  /** The cluster's name; `hotwheels` unless given. Clusters of different names don't hear each other. */
  readonly name?: string;
  /** The user of NATS; none unless given. */
  readonly user?: string;
  /** The user's password. */
  readonly password?: string;
  /** A token of NATS, in place of a user. */
  readonly token?: string;
  /** The content of a credentials file of NATS, in place of both: a user's JWT, and its key. */
  readonly credentials?: string;
  /** Certificates of authorities to trust for TLS, as PEM; the runtime's unless given. */
  readonly ca?: string;
  /** Bytes that each process keeps of what it has sent, for machines that miss some; 64 MiB unless given. */
  readonly logBytes?: number;
  /** Milliseconds for which it keeps that; 60,000 unless given. */
  readonly logMs?: number;
}

/** The machine's settings, and those of NATS. */
export interface ClusterSetup {
  readonly settings: ClusterSettings;
  readonly nats: NatsOptions;
}

/** Milliseconds for which a server that joins waits for what others publish meanwhile. */
export const CATCH_UP_MS = 3_000;

/** Bytes of a history's piece beside the piece, and to spare. */
const PIECE_OVERHEAD_BYTES = 1024;

/**
 * The setup of a machine, with a new name.
 *
 * @throws {RangeError} if an option isn't valid.
 */
export function clusterSetup(
  options: ServeClusterOptions,
  limits: Limits,
  port = 8081,
  workers = 1,
): ClusterSetup {
  const { servers, name = "hotwheels", user, password, token, credentials, ca } = options;
  if (servers.length === 0) throw new RangeError("A cluster needs a server of NATS");
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw new RangeError("A cluster's name must be 1 to 64 letters, digits, - and _");
  }
  const schemes = servers.map((server) => /^(nats|tls):\/\/([^@/\s]+)$/.exec(server));
  if (schemes.some((scheme) => scheme === null || scheme[1] !== schemes[0]![1])) {
    throw new RangeError(
      "A cluster's servers must be such as nats://10.0.0.5:4222, or all such as tls://10.0.0.5:4222",
    );
  }
  const largest = BATCH_HEADER_BYTES + MESSAGE_OVERHEAD_BYTES + limits.maxTopicBytes +
    limits.maxFrameBytes;
  return {
    settings: {
      machine: randomBytes(8).toString("hex"),
      port,
      release: manifest.version,
      workers,
      logBytes: options.logBytes ?? DEFAULT_LOG_BYTES,
      logMs: options.logMs ?? DEFAULT_LOG_MS,
    },
    nats: {
      servers: schemes.map((scheme) => scheme![2]!),
      name,
      isSecure: schemes[0]![1] === "tls",
      minPayloadBytes: Math.max(largest, HISTORY_PIECE_BYTES + PIECE_OVERHEAD_BYTES),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(token === undefined ? {} : { token }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(ca === undefined ? {} : { ca }),
    },
  };
}

/**
 * Gives a process of a machine the uplink to other machines.
 *
 * @throws {EnvironmentError} (rejects) if NATS doesn't let this server in, or takes no frames as large as needed.
 */
export async function holdCluster(
  server: Server,
  nats: NatsOptions,
  events: ClusterEvents,
): Promise<void> {
  const { cluster } = server;
  if (cluster === undefined || cluster.uplink.isHeld) return;
  const servers = nats.servers.join(", ");
  try {
    cluster.uplink.hold(
      await NatsTransport.open(cluster.machine, nats, cluster.clock, {
        onFrame: (frame, isForOne) => cluster.receiver.onFrame(frame, { isForOne }),
        onCaughtUp: () => cluster.uplink.onCaughtUp(),
        onConnected: () => {
          events.onConnected(servers);
          cluster.uplink.onConnected();
        },
        onAway: (reason) => {
          events.onAway(reason);
          cluster.uplink.onAway();
        },
        onError: (reason) => events.onError(reason),
      }),
    );
  } catch (error) {
    if (!(error instanceof NatsFault)) throw error;
    throw new EnvironmentError(`--cluster: NATS (${servers}) can't be used: ${error.message}`, {
      cause: error,
    });
  }
}

/**
 * Makes a server of one process part of a cluster, before it has clients.
 *
 * @throws {EnvironmentError} (rejects) as {@linkcode holdCluster} does.
 */
export async function joinCluster(
  server: Server,
  { nats }: ClusterSetup,
  events: ClusterEvents,
): Promise<Joined> {
  await holdCluster(server, nats, events);
  const joined = await server.cluster!.join();
  await server.cluster!.awaitCaughtUp(CATCH_UP_MS);
  logJoined(joined);
  return joined;
}

/** Logs what has become of a join. */
export function logJoined(joined: Joined): void {
  const logger = getLogger("hotwheels");
  if (joined.what === "copied") {
    logger.info("joined the cluster, with the history of the machine at {from}", {
      from: joined.from,
    });
  } else if (joined.what === "alone") {
    logger.info("joined the cluster: no other machine is there yet");
  } else {
    logger.warn(
      "the history of no other machine can be had, {reason}: clients that come back from there may be told " +
        "too_old",
      { reason: joined.reason },
    );
  }
}
