import type { Origins } from "../history/origins.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Siblings } from "./cluster_host.ts";
import type { Inbox, InboxCounts } from "./inbox.ts";
import type { HistoryExports } from "./joining/history_transfer.ts";
import type { Joining } from "./joining/joining.ts";
import type { Members } from "./members.ts";
import type { ReceiptExchange } from "./receipt_exchange.ts";
import type { Refills } from "./refilling/refills.ts";
import type { ClusterEvents } from "./report.ts";
import type { Uplink } from "./uplink.ts";
import { decodeFrame } from "./wire/frame_codec.ts";
import {
  BATCH,
  BYE,
  FrameFault,
  HISTORY,
  HOLE,
  type MachineFrame,
  type MachineState,
  RECEIPTS,
  REFILL,
  STATE,
  VersionFault,
  WANT,
} from "./wire/frames.ts";

/** The parts of a cluster that a {@linkcode FrameReceiver} gives frames to, and reports to. */
export interface FrameReceiverHost {
  /** The name of this machine. */
  readonly machine: string;
  readonly clock: CoarseClock;
  readonly origins: Origins;
  readonly events: ClusterEvents;
  readonly siblings: Siblings | undefined;
  readonly counts: InboxCounts;
  readonly uplink: Uplink;
  readonly members: Members;
  readonly inbox: Inbox;
  readonly receipts: ReceiptExchange;
  readonly refills: Refills;
  readonly exports: HistoryExports;
  readonly joining: Joining;
  /** True once this process takes messages. */
  readonly isReady: () => boolean;
  /** Messages that clients wait for may have come. */
  onNews(): void;
}

/** How a frame has come. */
export interface FrameWay {
  /** True if a sibling has it from another machine. */
  readonly isRelayed?: boolean;
  /** True if that sibling has checked all of it. */
  readonly isChecked?: boolean;
  /** True if it was for this machine only, which has asked for it. */
  readonly isForOne?: boolean;
}

/** Decodes the frames of other machines, refuses those that aren't valid, and gives each to the part it is for. */
export class FrameReceiver {
  readonly #host: FrameReceiverHost;
  /** The versions of frames that aren't understood, each of which is logged once. */
  readonly #otherVersions = new Set<number>();

  constructor(host: FrameReceiverHost) {
    this.#host = host;
  }

  /** A frame has come from another machine. Valid only during the call. */
  onFrame(bytes: Uint8Array, way: FrameWay = {}): void {
    const { isRelayed = false, isForOne = false } = way;
    let machine = "";
    try {
      const frame = decodeFrame(bytes);
      ({ machine } = frame);
      // Another process of this machine, which is about to let go.
      if (machine === this.#host.machine) return;
      const isChecked = this.#take(frame, way);
      if (!isRelayed && isForAll(frame)) {
        // A sibling can ask for messages only. All else is small.
        const mayBeDropped = frame.kind === BATCH && !isForOne;
        this.#host.siblings?.relay(bytes, { mayBeDropped, isChecked });
      }
    } catch (error) {
      if (error instanceof VersionFault) this.#refuseVersion(error);
      else if (error instanceof FrameFault) {
        const { counts, uplink, events } = this.#host;
        counts.rejected++;
        if (uplink.isHeld) events.onRejected(machine, error.message);
      } else throw error;
    }
  }

  /** A sibling that isn't connected with other machines wants this frame sent, or its receipts counted. */
  onHandedUp(bytes: Uint8Array, sibling: string): void {
    const { uplink, receipts, inbox, siblings } = this.#host;
    if (!uplink.isHeld) return;
    const frame = decodeFrame(bytes);
    if (frame.kind === RECEIPTS) {
      for (const receipt of frame.receipts) receipts.takeFromSibling(sibling, receipt);
    } else if (frame.kind === REFILL) {
      const machine = inbox.machineOf(frame.wanted.origin);
      // Most often all processes of a machine lack the same, and all get the answer.
      const isAskedFor = inbox.isAskedFor(frame.wanted, this.#host.clock.nowMs);
      if (machine === undefined || isAskedFor) return;
      if (siblings?.hasRoomFor(sibling) === true) return uplink.send(bytes.slice(), machine);
      // It asks again when its link has taken more. That it is behind must be known to the machine that publishes.
      uplink.tell(machine, { kind: REFILL, wanted: { ...frame.wanted, maxBytes: 1 } });
    } else if (frame.kind === STATE) uplink.tellState(true);
  }

  /** @returns False if messages in the frame weren't checked. */
  #take(frame: MachineFrame, { isRelayed = false, isChecked = false }: FrameWay): boolean {
    const { machine } = frame;
    const { members, inbox, receipts, uplink, origins } = this.#host;
    const { nowMs } = this.#host.clock;
    const isReady = this.#host.isReady();
    if (frame.kind === STATE) {
      this.#takeState(machine, frame.state, nowMs);
      return true;
    }
    let areChecked = frame.kind !== BATCH;
    // A machine first says who it is.
    if (!members.hear(machine, nowMs)) {
      // One that has just begun doesn't know the others yet. What it misses it will ask for.
      const isStranger = isReady && !isRelayed && !members.hasLeft(machine);
      if (isStranger) throw new FrameFault("a machine that isn't a member");
      return areChecked;
    }
    switch (frame.kind) {
      case BATCH:
        if (isReady) areChecked = inbox.takeBatch(machine, frame, nowMs, isChecked);
        break;
      case BYE:
        if (isReady) inbox.takeState(machine, frame.state.origins, nowMs);
        members.leave(machine);
        break;
      case HOLE:
        if (isReady) inbox.takeHole(machine, frame.hole, nowMs);
        break;
      case RECEIPTS:
        for (const receipt of frame.receipts) {
          if (receipt.origin === origins.own.name) receipts.take(machine, receipt);
        }
        break;
      case REFILL:
        if (uplink.isHeld) this.#host.refills.answer(machine, frame.wanted);
        break;
      case WANT: {
        const mayGive = isReady && !uplink.isCongested;
        const part = mayGive ? this.#host.exports.give(frame.want) : undefined;
        if (part !== undefined) uplink.tell(machine, { kind: HISTORY, ...part });
        break;
      }
      case HISTORY:
        this.#host.joining.take(machine, frame);
        break;
    }
    this.#host.onNews();
    return areChecked;
  }

  #takeState(machine: string, state: MachineState, nowMs: number): void {
    const { members, inbox, uplink } = this.#host;
    members.take(machine, state, nowMs);
    if (this.#host.isReady()) inbox.takeState(machine, state.origins, nowMs);
    if (state.asks && uplink.isHeld) uplink.tellState(false);
    this.#host.onNews();
  }

  #refuseVersion({ version, message }: VersionFault): void {
    const { counts, uplink, events } = this.#host;
    counts.rejected++;
    if (!uplink.isHeld || this.#otherVersions.has(version)) return;
    this.#otherVersions.add(version);
    events.onOtherVersion(message);
  }
}

/** True for a frame that all processes of the machine need. */
function isForAll({ kind }: MachineFrame): boolean {
  return kind === BATCH || kind === STATE || kind === BYE || kind === HOLE || kind === RECEIPTS;
}
