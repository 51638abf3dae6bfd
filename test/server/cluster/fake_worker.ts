import { NEW_BUFFERS } from "../../../protocol/framing/buffer_pool.ts";
import type { Connection } from "../../../runtime/types.ts";
import { AnswerEncoder } from "../../../server/cluster/link_answers.ts";
import { LinkDecoder } from "../../../server/cluster/link_frames.ts";
import {
  dataSegment,
  greeting,
  SegmentDecoder,
  type SegmentSink,
} from "../../../server/cluster/link_segments.ts";
import type { MemoryBed } from "../../support/memory/memory_bed.ts";

/** The end of a link whose process is in the hands of a test. */
export class FakeWorker {
  /** The timestamps of the messages that wait for an answer. */
  readonly asked: number[] = [];
  readonly #bed: MemoryBed;
  readonly #path: string;
  #connection: Connection | undefined;

  private constructor(bed: MemoryBed, path: string) {
    this.#bed = bed;
    this.#path = path;
  }

  static async linkedWith(bed: MemoryBed, path = "/fake"): Promise<FakeWorker> {
    const worker = new FakeWorker(bed, path);
    const segments = new SegmentDecoder();
    const decoder = new LinkDecoder(NEW_BUFFERS);
    await bed.net.listen({ transport: "unix", path }, (connection) => {
      worker.#connection = connection;
      connection.write(greeting(0, path));
      return {
        onData: (chunk) => segments.push(chunk, sink),
        onDrain() {},
        onEnd() {},
        onClose() {},
      };
    });
    const sink: SegmentSink = {
      onGreeting() {},
      onAcknowledged() {},
      onBytes: (bytes) =>
        decoder.push(bytes, {
          onControl() {},
          onForwarded: (_topic, micros, _message, wantsReceipt) => {
            if (wantsReceipt) worker.asked.push(micros);
          },
        }),
    };
    await bed.link(path);
    return worker;
  }

  /** Says that so many had the message written, in pieces of some bytes. */
  answer(net: MemoryBed["net"], micros: number, written: number, pieceBytes = 1_000): void {
    const answers = new AnswerEncoder();
    answers.appendReceipt(micros, { matched: written, written, queued: 0, evicted: 0 });
    const bytes = dataSegment(answers.take());
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      this.#connection!.write(bytes.subarray(start, start + pieceBytes));
      net.settle();
    }
  }

  /** Gives a sign of life. */
  pulse(): void {
    const answers = new AnswerEncoder();
    answers.appendPulse();
    this.#connection!.write(dataSegment(answers.take()));
  }

  die(): void {
    this.#connection!.destroy();
    this.#bed.server.mesh!.unlink(this.#path);
  }
}
