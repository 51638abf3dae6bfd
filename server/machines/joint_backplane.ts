import type { Position } from "../../protocol/resume.ts";
import type { Backplane } from "../cluster/backplane.ts";
import type { Mesh } from "../cluster/mesh.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import type { Cluster, Siblings } from "./cluster.ts";

/** The backplane of a process that has siblings on its machine, and other machines beside it. */
export class JointBackplane implements Backplane {
  readonly #mesh: Mesh;
  readonly #cluster: Cluster;

  constructor(mesh: Mesh, cluster: Cluster) {
    this.#mesh = mesh;
    this.#cluster = cluster;
  }

  forward(topic: string, micros: number, message: Uint8Array): void {
    this.#mesh.forward(topic, micros, message);
    this.#cluster.forward(topic, micros, message);
  }

  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void {
    this.#mesh.forwardForReceipt(topic, message, owed);
    this.#cluster.forwardForReceipt(topic, message, owed);
  }

  get gate(): Gate | undefined {
    return this.#mesh.gate ?? this.#cluster.gate;
  }

  gateOf(topic: string): Gate | undefined {
    return this.#mesh.gateOf(topic);
  }

  placeBehind(position: Position): WaitingPlace | undefined {
    return this.#mesh.placeBehind(position) ?? this.#cluster.placeBehind(position);
  }
}

/** What a payload between siblings is, by its first byte. */
const RELAYED = 0;
const HANDED_UP = 1;
const WAY = 2;

/** The siblings of a process, over the mesh of its machine. */
export class MeshSiblings implements Siblings {
  readonly #mesh: () => Mesh | undefined;

  constructor(mesh: () => Mesh | undefined) {
    this.#mesh = mesh;
  }

  relay(frame: Uint8Array): void {
    // A sibling that doesn't keep up asks for what it lacks.
    this.#mesh()?.sendMachines(withKind(RELAYED, frame), false);
  }

  handUp(frame: Uint8Array): void {
    this.#mesh()?.sendMachines(withKind(HANDED_UP, frame), true);
  }

  tellWay(isReachable: boolean, maxFrameBytes: number): void {
    const payload = new Uint8Array(6);
    payload[0] = WAY;
    payload[1] = isReachable ? 1 : 0;
    new DataView(payload.buffer).setUint32(2, maxFrameBytes, true);
    this.#mesh()?.sendMachines(payload, true);
  }

  names(): Iterable<string> {
    return this.#mesh()?.siblings ?? [];
  }
}

/** Takes what a sibling has sent over the mesh. */
export function takeFromSibling(cluster: Cluster, path: string, payload: Uint8Array): void {
  const body = payload.subarray(1);
  switch (payload[0]) {
    case RELAYED:
      return cluster.onFrame(body, true);
    case HANDED_UP:
      return cluster.onHandedUp(body, path);
    case WAY: {
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
      return cluster.onWay(body[0] === 1, view.getUint32(1, true));
    }
  }
}

function withKind(kind: number, bytes: Uint8Array): Uint8Array {
  const payload = new Uint8Array(1 + bytes.length);
  payload[0] = kind;
  payload.set(bytes, 1);
  return payload;
}
