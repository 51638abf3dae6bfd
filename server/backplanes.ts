import type { Runtime } from "../runtime/types.ts";
import { isForWantOfDescriptors } from "./accept/descriptor_look.ts";
import type { Backplane } from "./cluster/backplane.ts";
import { Mesh } from "./cluster/mesh.ts";
import type { Counters } from "./counters.ts";
import type { WaitingPlace } from "./flow/gate.ts";
import { MemoryBudget } from "./flow/memory_budget.ts";
import type { History } from "./history/history.ts";
import type { Origins } from "./history/origins.ts";
import type { Limits } from "./limits.ts";
import { Cluster } from "./machines/cluster.ts";
import { JointBackplane, MeshSiblings, takeFromSibling } from "./machines/joint_backplane.ts";
import type { MemoryDefence } from "./memory/memory_defence.ts";
import type { ServerOptions } from "./server_options.ts";
import type { CoarseClock } from "./timing/coarse_clock.ts";
import type { Timekeeper } from "./timing/timekeeper.ts";
import type { TopicRegistry } from "./topics/topic_registry.ts";

/** The parts of a server that its backplanes use. */
export interface BackplanesHost {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly clock: CoarseClock;
  readonly counters: Counters;
  readonly memory: MemoryDefence;
  readonly history: History;
  readonly origins: Origins;
  readonly topics: TopicRegistry;
  readonly timekeeper: Timekeeper;
  /** Messages of other machines are lost: clients that go on where they were must be told. */
  onHole(): void;
  /** The place where messages of other machines wait until they are. */
  holeGate(): WaitingPlace | undefined;
  /** A link couldn't be connected for want of a descriptor. */
  onNoDescriptor(): void;
}

/** The links of a process to the server's other processes and to other machines, tied to its topics. */
export class Backplanes {
  /** `undefined` if the server has only one process. */
  readonly mesh: Mesh | undefined;
  /** `undefined` if the server has only one machine. */
  readonly cluster: Cluster | undefined;
  /** Both as one; `undefined` if there is neither. */
  readonly all: Backplane | undefined;

  constructor(host: BackplanesHost, options: ServerOptions) {
    this.mesh = options.hasMesh ? this.#newMesh(host, options) : undefined;
    this.cluster = options.cluster && this.#newCluster(host, options.cluster);
    const { mesh, cluster } = this;
    this.all = mesh !== undefined && cluster !== undefined
      ? new JointBackplane(mesh, cluster)
      : mesh ?? cluster;
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    this.mesh?.sweep();
    this.cluster?.sweep();
  }

  #newMesh(host: BackplanesHost, options: ServerOptions): Mesh {
    const { runtime, limits, clock, counters, memory, history, origins, topics } = host;
    const { timestamps } = host.timekeeper;
    return new Mesh({
      runtime,
      copies: false,
      limits,
      clock,
      // Bytes for other processes aren't sent to clients.
      counters: { bytesOut: 0 },
      // A budget of its own: otherwise processes that are short of memory would wait for each other for ever.
      budget: new MemoryBudget(limits.maxTotalPendingBytes, {}),
      buffers: memory.buffers,
      history,
      historyBudget: memory.budget,
      origins,
      sealTopics: () => topics.sealAll(),
      nowMicros: () => timestamps.next(),
      publishForwarded: (origin, name, micros, message, taker) => {
        counters.messagesForwarded++;
        // Messages that are accepted here from now on are later, even if this process notices later than the
        // other one that the system's clock was set.
        timestamps.raise(micros);
        this.cluster?.noteSibling(origin, name, micros, message, taker !== undefined);
        return topics.publish(origin, name, micros, message, taker);
      },
      onSibling: (_, origin, baseMicros) => this.cluster?.addSibling(origin, baseMicros),
      onSiblingGone: (path) => this.cluster?.removeSibling(path),
      onMachines: (path, micros, payload) => {
        if (this.cluster === undefined) return;
        takeFromSibling(
          this.cluster,
          path,
          payload,
          () => (host.timekeeper.micros - micros) / 1000,
        );
      },
      publishingGate: () => memory.isPublishingHeld ? memory.gate : this.cluster?.gate,
      onLinkFailure: (error) => {
        counters.linkFailures++;
        if (isForWantOfDescriptors(error)) host.onNoDescriptor();
      },
      onLinkState: (state) => options.onLinkState?.(state),
      onUnreachable: (process) => options.onUnreachable?.(process),
      onStalled: () => counters.linkStalls++,
      onOverdue: (process) => options.onOverdue?.(process),
      onDropped: (process) => options.onDropped?.(process),
    });
  }

  #newCluster(
    host: BackplanesHost,
    { settings, events }: NonNullable<ServerOptions["cluster"]>,
  ): Cluster {
    const { runtime, limits, clock, counters, memory, history, origins, topics, timekeeper } = host;
    return new Cluster(settings, {
      runtime,
      clock,
      limits,
      origins,
      history,
      historyBudget: memory.budget,
      events,
      siblings: this.mesh && new MeshSiblings(this.mesh),
      nowMicros: () => Math.floor(timekeeper.micros),
      publishingGate: () => memory.isPublishingHeld ? memory.gate : undefined,
      sealTopics: () => topics.sealAll(),
      publishRemote: (origin, name, micros, message, taker) => {
        counters.messagesForwarded++;
        topics.publish(origin, name, micros, message, taker);
      },
      onHole: () => host.onHole(),
      holeGate: () => host.holeGate(),
    });
  }
}
