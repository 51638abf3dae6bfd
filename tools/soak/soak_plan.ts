/**
 * What is soaked, and how.
 *
 * @module
 */

import type { RuntimeName } from "../../cli/program.ts";
import type { LatencyBounds } from "./checks/latency.ts";
import type { ReadLogBytes } from "./checks/watch.ts";
import type { SoakedHistory } from "./checks/recovery_check.ts";
import type { Keys } from "./clients/healthy_client.ts";
import type { PeerTarget } from "./clients/peer.ts";
import type { ProfileName } from "./listener_profile.ts";
import type { StopRecord } from "./report.ts";
import type { SoakedCluster } from "./strikes/soaked_cluster.ts";

/** The server to soak. */
export interface SoakedServer {
  /** The name in the report. */
  readonly name: string;
  readonly runtimeVersion: string | null;
  readonly profile: ProfileName;
  readonly target: PeerTarget;
  /** The port for WebSockets; `null` if it has none, or if it isn't known. */
  readonly webSocketPort: number | null;
  /** A file with the certificate authorities that signed its certificates; `null` without TLS. */
  readonly caFile: string | null;
  /** The keys that its clients need; `null` if they need none. */
  readonly keys: Keys | null;
  /** `null` if its processes can't be watched. */
  readonly pid: number | null;
  /** Gives it another certificate; `null` if it has none, or if it isn't ours to give. */
  readonly renew: (() => void) | null;
  /** Gives it an unusable certificate for a while; `null` as above. */
  readonly misrenew: (() => Promise<void>) | null;
  /** True if a new certificate resets connections that the server hasn't accepted yet. */
  readonly resetsWhenRenewed: boolean;
  /** The history that it stores for subscribers that come back; `null` if that isn't known. */
  readonly history: SoakedHistory | null;
  /** Reads the bytes that its processes keep for the other members; `undefined` if it's alone. */
  readonly readLogBytes: ReadLogBytes | undefined;
  /** The other members of its cluster; `null` if it's alone. */
  readonly cluster: SoakedCluster | null;
  /** Asks it to stop, and resolves when it has stopped; `null` if it isn't ours to stop. */
  readonly stop: (() => Promise<StopRecord>) | null;
  /** Milliseconds within which it promises to stop. */
  readonly stopLimitMs: number;
}

/** The plan of a soak. */
export interface SoakPlan {
  readonly durationMs: number;
  readonly subscribers: number;
  /** Milliseconds from one kill to the next, with other strikes between; `null` for none. */
  readonly killEveryMs: number | null;
  /** The server's processes. */
  readonly workers: number;
  /** Milliseconds from one strike of any kind to the next, in place of kills; `null` for none. */
  readonly chaosEveryMs: number | null;
  /** The number of attacks that run at once. */
  readonly attacksAtOnce: number;
  /** Only attacks whose names contain this text; empty for all. */
  readonly only: string;
  /** The runtime of the bystander, and of the clients that use the library. */
  readonly client: RuntimeName;
  readonly latency: LatencyBounds;
  /** The most bytes that the server's processes may have resident together. */
  readonly maxMemoryBytes: number;
  readonly seed: number;
  /** Milliseconds for the last messages to reach all subscribers after the load has ended. */
  readonly patienceMs: number;
  /** Called once a second with the progress. */
  readonly onProgress: (progress: SoakProgress) => void;
}

/** The progress of a soak. */
export interface SoakProgress {
  readonly elapsedMs: number;
  readonly delivered: number;
  readonly faults: number;
  readonly strikes: number;
  readonly residentBytes: number | null;
}
