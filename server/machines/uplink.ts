import type { Runtime } from "../../runtime/types.ts";
import { Gate } from "../flow/gate.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Siblings, UplinkState } from "./cluster_host.ts";
import type { Transport } from "./transport.ts";
import { encodeFrame } from "./wire/frame_codec.ts";
import { BYE, type ControlContent, type MachineState, STATE } from "./wire/frames.ts";
import { MAX_ANSWERED_BYTES, STATE_INTERVAL_MS, UPLINK_SILENCE_MS } from "./wire/limits.ts";

/** The parts of a cluster that an {@linkcode Uplink} uses. */
export interface UplinkHost {
  readonly runtime: Runtime;
  readonly clock: CoarseClock;
  /** `undefined` if the machine has one process only. */
  readonly siblings: Siblings | undefined;
  /** True while this process reads what its siblings send. */
  takesFromSiblings(): boolean;
  /** True while publishers should wait for a machine that lacks what they have published. */
  isWaitedFor(): boolean;
  /** Sends the batches that are still open. A state must not name messages that weren't sent. */
  flush(): void;
  /** The state of this machine, for the others. @param asks True to ask all others to do the same. */
  state(asks: boolean): MachineState;
}

/**
 * A machine's connection with the others of its cluster, as one of its processes sees it. The process that holds
 * the transport sends for all of its machine; the others hand up to it what they have for a machine.
 */
export class Uplink {
  readonly #machine: string;
  readonly #host: UplinkHost;
  readonly #gate: Gate;
  #transport: Transport | undefined;
  #isReachable = false;
  /** True while the sibling that holds the transport takes what its siblings hand up to it. */
  #isHolderPrompt = false;
  /** When the sibling that holds the transport said so, on the coarse clock. What it says comes late on a busy link. */
  #toldMs = -Infinity;
  #maxFrameBytes = 0;
  #statedMs = -Infinity;
  #connectedSinceMs: number | undefined;
  #isLeaving = false;

  /** @param machine The name of its machine. */
  constructor(machine: string, host: UplinkHost) {
    this.#machine = machine;
    this.#host = host;
    this.#gate = new Gate(host.runtime, "machines");
  }

  /** True if this process holds the transport. */
  get isHeld(): boolean {
    return this.#transport !== undefined;
  }

  /**
   * True while other machines can be reached, by this process or by the sibling that holds the transport. That one
   * says so with each sweep: if it stands still, no other machine can be reached.
   */
  get isReachable(): boolean {
    if (!this.#isReachable || this.isHeld) return this.#isReachable;
    return this.#host.clock.nowMs - this.#toldMs < UPLINK_SILENCE_MS;
  }

  /** True while what another machine is asked for would come soon, as far as this machine can tell. */
  get isPrompt(): boolean {
    if (!this.isReachable || this.isHeld) return this.isReachable;
    return this.#isHolderPrompt && this.#host.siblings?.isBehind !== true;
  }

  /** The longest frame that other machines can be sent, in bytes. */
  get maxFrameBytes(): number {
    return this.#maxFrameBytes || Infinity;
  }

  /** This machine's address, as NATS sees it; empty if that isn't known. */
  get ownAddress(): string {
    return this.#transport?.ownAddress ?? "";
  }

  /** When this process was first connected, on the coarse clock; `undefined` if it never was. */
  get connectedSinceMs(): number | undefined {
    return this.#connectedSinceMs;
  }

  /**
   * The gate where publishers wait until the transport has sent more, or another machine has got what the log is about
   * to lose; `undefined` if they need not.
   */
  get gate(): Gate | undefined {
    const transport = this.#transport;
    if (transport === undefined || !transport.isConnected) return undefined;
    return transport.isFull || this.#host.isWaitedFor() ? this.#gate : undefined;
  }

  /**
   * True if the transport has so much to send that it shouldn't get what others ask for; they ask again. Publishers
   * wait far earlier.
   */
  get isCongested(): boolean {
    return (this.#transport?.unsentBytes ?? 0) > MAX_ANSWERED_BYTES;
  }

  /** Takes the transport: from now on this process sends for all of its machine. */
  hold(transport: Transport): void {
    this.#transport = transport;
    this.#setReachable(transport.isConnected);
    if (transport.isConnected) this.tellState(true);
  }

  /** Closes the transport, since another process of the machine holds one now. */
  async letGo(): Promise<void> {
    this.#host.flush();
    const transport = this.#transport;
    await transport?.close();
    if (this.#transport === transport) this.#transport = undefined;
  }

  /** See `TransportEvents`. */
  onConnected(): void {
    this.#setReachable(true);
    this.#connectedSinceMs ??= this.#host.clock.nowMs;
    this.tellState(true);
    this.#gate.open();
  }

  /** The same. */
  onAway(): void {
    this.#setReachable(false);
    this.#gate.open();
  }

  /** The same; or the other machines have got what the log was about to lose. */
  onCaughtUp(): void {
    if (this.gate === undefined) this.#gate.open();
  }

  /**
   * The sibling that holds the transport says how it is; see `Siblings.tellUplink`.
   *
   * @param agoMs Milliseconds since it said so.
   */
  onUplink({ isReachable, isPrompt, maxFrameBytes }: UplinkState, agoMs: number): void {
    if (this.#transport !== undefined) return;
    this.#isReachable = isReachable;
    this.#isHolderPrompt = isPrompt;
    this.#toldMs = this.#host.clock.nowMs - agoMs;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Sends a frame to all other machines, or to one. It is lost if this process doesn't hold the transport.
   *
   * @param frame Must not be changed any more.
   */
  send(frame: Uint8Array, machine?: string): void {
    this.#transport?.send(frame, machine);
  }

  /** Encodes a frame and sends it to one machine, as {@linkcode send} does. */
  tell(machine: string, content: ControlContent): void {
    this.send(encodeFrame({ ...content, machine: this.#machine }), machine);
  }

  /**
   * Sends a frame to one machine, or hands it up to the sibling that holds the transport.
   *
   * @param machine If `undefined`, only the sibling can know it.
   */
  pass(machine: string | undefined, content: ControlContent): void {
    if (!this.isHeld) {
      this.#host.siblings?.handUp(encodeFrame({ ...content, machine: this.#machine }));
    } else if (machine !== undefined) this.tell(machine, content);
  }

  /** Tells all other machines how this one is. @param asks True to ask all others to do the same. */
  tellState(asks: boolean): void {
    if (this.#isLeaving) return;
    this.#host.flush();
    this.#statedMs = this.#host.clock.nowMs;
    this.#sendToAll(STATE, this.#host.state(asks));
  }

  /** Tells them with the next sweep, since something has changed. */
  tellStateSoon(): void {
    this.#statedMs = -Infinity;
  }

  /** To be called about once a sweep. */
  sweep(): void {
    if (this.#transport === undefined) return;
    this.#transport.sweep();
    this.onCaughtUp();
    this.#setReachable(this.#transport.isConnected);
    if (this.#host.clock.nowMs - this.#statedMs >= STATE_INTERVAL_MS) this.tellState(false);
  }

  /** Says that the machine stops, and closes the transport. @param state The machine's last one. */
  async leave(state: MachineState): Promise<void> {
    this.#isLeaving = true;
    this.#sendToAll(BYE, state);
    await this.#transport?.close();
  }

  #sendToAll(kind: typeof STATE | typeof BYE, state: MachineState): void {
    if (this.isHeld) this.send(encodeFrame({ machine: this.#machine, kind, state }));
  }

  #setReachable(isReachable: boolean): void {
    this.#isReachable = isReachable;
    this.#maxFrameBytes = this.#transport?.maxFrameBytes ?? 0;
    this.#host.siblings?.tellUplink({
      isReachable,
      isPrompt: this.#host.takesFromSiblings(),
      maxFrameBytes: this.#maxFrameBytes,
    });
  }
}
