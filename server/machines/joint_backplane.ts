import type { Position } from "../../protocol/resume.ts";
import type { Backplane } from "../cluster/backplane.ts";
import type { Mesh } from "../cluster/mesh.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import { MAX_COLLECTED_BYTES } from "../limits/messages.ts";
import type { Cluster } from "./cluster.ts";
import type { Relayed, Siblings, UplinkState } from "./cluster_host.ts";
import { REFILL_BYTES } from "./wire/limits.ts";

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

/**
 * Bytes that may wait for a sibling if it asks for something. What comes by itself takes no more of its link: one frame,
 * behind `MAX_COLLECTED_BYTES`.
 */
const MAX_BYTES_IN_FRONT = 2 * MAX_COLLECTED_BYTES;

/**
 * Bytes that may wait for a sibling in front of what a machine was asked for: a whole answer fits behind what comes by
 * itself, or a sibling that is behind would never get what it lacks.
 */
const MAX_WAITING_ANSWER_BYTES = MAX_BYTES_IN_FRONT + REFILL_BYTES;

/** The kinds of payloads between siblings, each a payload's first byte. */
const RELAYED = 0;
const HANDED_UP = 1;
const UPLINK = 2;
const RELAYED_UNCHECKED = 3;

/** The bits of what is said of the uplink. */
const REACHABLE = 1;
const PROMPT = 2;

/** The siblings of a process, over the mesh of its machine. */
export class MeshSiblings implements Siblings {
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  relay(frame: Uint8Array, { mayBeDropped, isChecked }: Relayed): void {
    // A sibling that doesn't keep up asks for what it lacks.
    const most = mayBeDropped ? MAX_COLLECTED_BYTES : MAX_WAITING_ANSWER_BYTES;
    this.#mesh.sendMachines(withKind(isChecked ? RELAYED : RELAYED_UNCHECKED, frame), most);
  }

  handUp(frame: Uint8Array): void {
    this.#mesh.sendMachines(withKind(HANDED_UP, frame));
  }

  tellUplink({ isReachable, isPrompt, maxFrameBytes }: UplinkState): void {
    const payload = new Uint8Array(6);
    payload[0] = UPLINK;
    payload[1] = (isReachable ? REACHABLE : 0) | (isPrompt ? PROMPT : 0);
    new DataView(payload.buffer).setUint32(2, maxFrameBytes, true);
    this.#mesh.sendMachines(payload);
  }

  get isBehind(): boolean {
    return this.#mesh.gate !== undefined;
  }

  hasRoomFor(sibling: string): boolean {
    const pendingBytes = this.#mesh.pendingBytesOf(sibling);
    return pendingBytes !== undefined && pendingBytes <= MAX_BYTES_IN_FRONT;
  }

  names(): Iterable<string> {
    return this.#mesh.siblings;
  }
}

/**
 * Takes what a sibling has sent over the mesh.
 *
 * @param agoMs Says how many milliseconds ago.
 */
export function takeFromSibling(
  cluster: Cluster,
  path: string,
  payload: Uint8Array,
  agoMs: () => number,
): void {
  const body = payload.subarray(1);
  switch (payload[0]) {
    case RELAYED:
      return cluster.receiver.onFrame(body, { isRelayed: true, isChecked: true });
    case RELAYED_UNCHECKED:
      return cluster.receiver.onFrame(body, { isRelayed: true });
    case HANDED_UP:
      return cluster.receiver.onHandedUp(body, path);
    case UPLINK: {
      const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
      const maxFrameBytes = view.getUint32(1, true);
      const [bits = 0] = body;
      const isReachable = (bits & REACHABLE) !== 0;
      const isPrompt = (bits & PROMPT) !== 0;
      return cluster.uplink.onUplink({ isReachable, isPrompt, maxFrameBytes }, agoMs());
    }
  }
}

function withKind(kind: number, bytes: Uint8Array): Uint8Array {
  const payload = new Uint8Array(1 + bytes.length);
  payload[0] = kind;
  payload.set(bytes, 1);
  return payload;
}
