import { connect, type NatsConnection } from "@nats-io/transport-node";
import { randomBytes } from "node:crypto";
import { LinkEncoder } from "../../../server/cluster/link_frames.ts";
import {
  BATCH_HEADER_BYTES,
  encodeFrame,
  sealBatch,
} from "../../../server/machines/wire/frame_codec.ts";
import {
  type MachineState,
  STATE,
  type StatedOrigin,
} from "../../../server/machines/wire/frames.ts";
import { DEFAULT_LIMITS } from "../../../server/limits.ts";
import { message } from "../../support/clients/janus_client.ts";
import type { NatsServer } from "../../support/processes/nats_server.ts";

const utf8 = new TextEncoder();

/** A state of a machine with these processes. */
export function stateOf(
  origins: readonly StatedOrigin[],
  micros = Date.now() * 1000,
): MachineState {
  const { maxFrameBytes, maxTopicBytes } = DEFAULT_LIMITS;
  return {
    address: "192.0.2.1:8081",
    release: "1.2.3",
    versions: [1, 1],
    workers: 1,
    limits: { maxFrameBytes, maxTopicBytes },
    micros,
    asks: false,
    isReady: true,
    origins,
  };
}

/** The timestamps of a batch of one message: in front of its process's first, in front of it, and its own. */
interface BatchPlace {
  readonly base: number;
  readonly previous: number;
  readonly micros: number;
}

/** A batch of one message of topic `t`. */
export function batchOf(
  machine: string,
  origin: string,
  { base, previous, micros }: BatchPlace,
  data: unknown,
): Uint8Array {
  const encoder = new LinkEncoder(BATCH_HEADER_BYTES);
  encoder.append("t", micros, utf8.encode(message("t", data)), false);
  const frame = encoder.take();
  sealBatch(frame, machine, { origin, base, previous });
  return frame;
}

/** A machine of a cluster that does no more than a test says, and answers nothing. */
export class FalseMachine {
  readonly name: string;
  /** Its only process. */
  readonly origin: string;
  readonly #nats: NatsConnection;
  /** The timestamp of its first message is behind that. */
  readonly #base = Date.now() * 1000;

  private constructor(nats: NatsConnection, name: string, origin: string) {
    this.#nats = nats;
    this.name = name;
    this.origin = origin;
  }

  static async join({ port }: NatsServer): Promise<FalseMachine> {
    const [name, origin] = [1, 2].map(() => randomBytes(8).toString("hex"));
    return new FalseMachine(await connect({ servers: `127.0.0.1:${port}` }), name!, origin!);
  }

  /** Says who it is. @param last The number of the last message that it has published; 0 for none. */
  state(last: number): Promise<void> {
    const origins = [{ name: this.origin, base: this.#base, last: this.#base + last }];
    return this.#say(encodeFrame({ machine: this.name, kind: STATE, state: stateOf(origins) }));
  }

  /** Sends message `number`, from 1 on, to topic `t`; its data is the number. */
  publish(number: number): Promise<void> {
    const previous = this.#base + number - 1;
    return this.#say(
      batchOf(this.name, this.origin, { base: this.#base, previous, micros: previous + 1 }, number),
    );
  }

  close(): Promise<void> {
    return this.#nats.close();
  }

  async #say(frame: Uint8Array): Promise<void> {
    this.#nats.publish("hotwheels.hotwheels.all", frame);
    await this.#nats.flush();
  }
}
