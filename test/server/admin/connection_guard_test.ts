import { assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ConnectionGuard } from "../../../server/admin/connection_guard.ts";
import {
  ANSWER_DEADLINE_MS,
  MAX_ADMIN_CONNECTIONS,
  MAX_PIPELINED,
} from "../../../server/admin/limits.ts";
import { VirtualTimers } from "../../support/virtual_timers.ts";

/** A connection of an admin port, whose client and whose parser of requests a test plays. */
class FakeSocket extends EventEmitter {
  readonly parsed: string[] = [];
  readonly parser = { unconsume: () => void (this.takesChunksItself = false) };
  /** True while the parser reads the socket without anybody seeing what. */
  takesChunksItself = true;
  isDestroyed = false;

  constructor() {
    super();
    this.on("data", (chunk: Uint8Array) => this.parsed.push(new TextDecoder().decode(chunk)));
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.emit("close");
  }
}

class Bed {
  readonly guard = new ConnectionGuard(() => {});
  readonly #server = new EventEmitter();

  constructor() {
    this.guard.watch(this.#server as unknown as Server);
  }

  connect(): FakeSocket {
    const socket = new FakeSocket();
    this.#server.emit("connection", socket);
    return socket;
  }

  /** Sends a request on a connection. */
  ask(socket: FakeSocket, { isStream = false } = {}) {
    const request = { socket } as unknown as IncomingMessage;
    const response = new EventEmitter();
    const verdict = this.guard.begin(request, response as unknown as ServerResponse);
    if (isStream) this.guard.keep(request);
    return { verdict, answer: () => response.emit("finish") && response.emit("close") };
  }
}

describe("the guard of an admin port's connections", () => {
  const { now } = performance;
  let bed: Bed;
  let timers: VirtualTimers;
  let passedMs = 0;

  beforeEach(() => {
    passedMs = 0;
    timers = new VirtualTimers();
    performance.now = () => passedMs;
    bed = new Bed();
  });
  afterEach(() => {
    bed.guard.close();
    timers.restore();
    performance.now = now;
  });

  function pass(ms: number): void {
    passedMs += ms;
    timers.pass(ms);
  }

  it("ends a client that sends more requests than may wait for their answers", () => {
    const [patient, flood] = [bed.connect(), bed.connect()];
    for (let i = 0; i < 2 * MAX_PIPELINED; i++) {
      const { verdict, answer } = bed.ask(patient);
      assertEquals(verdict, "answer");
      answer();
    }
    const verdicts = Array.from({ length: MAX_PIPELINED + 2 }, () => bed.ask(flood).verdict);
    const answered = Array.from({ length: MAX_PIPELINED }, () => "answer");
    assertEquals(verdicts, [...answered, "gone", "gone"]);
    assertEquals([patient.isDestroyed, flood.isDestroyed], [false, true]);
  });

  it("lets the parser see no chunk that holds more requests than that", () => {
    for (const end of ["\r\n", "\n"]) {
      const socket = bed.connect();
      assertEquals(socket.takesChunksItself, false);
      const request = `GET / HTTP/1.1${end}Host: a${end}${end}`;
      const few = request.repeat(MAX_PIPELINED);
      for (const text of [few, few + request]) {
        socket.emit("data", new TextEncoder().encode(text));
      }
      assertEquals(socket.parsed, [few, "\0".repeat(few.length + request.length)]);
    }
  });

  it("ends the one that has waited longest without a request, where there are too many", () => {
    const [asking, answered, idle, ...others] = Array.from(
      { length: MAX_ADMIN_CONNECTIONS },
      () => bed.connect(),
    ) as [FakeSocket, FakeSocket, FakeSocket, ...FakeSocket[]];
    bed.ask(asking);
    bed.ask(answered).answer();
    const ended = () => [asking, answered, idle, ...others].filter((one) => one.isDestroyed);
    const last = bed.connect();
    assertEquals([ended().length, idle.isDestroyed], [1, true]);
    // One that leaves by itself makes room, also by breaking.
    others[1]!.emit("error", new Error("reset"));
    bed.connect();
    assertEquals(ended().length, 2);
    bed.connect();
    assertEquals([ended().length, others[0]!.isDestroyed, last.isDestroyed], [3, true, false]);
  });

  it("ends a client that doesn't take its answer in time, but no stream, nor one that waits", () => {
    const [idle, slow, stream, prompt] = [1, 2, 3, 4].map(() => bed.connect());
    bed.ask(slow!);
    bed.ask(stream!, { isStream: true });
    pass(ANSWER_DEADLINE_MS / 2);
    const { answer } = bed.ask(prompt!);
    const ended = () => [idle, slow, stream, prompt].map((one) => one!.isDestroyed);
    pass(ANSWER_DEADLINE_MS / 2);
    assertEquals(ended(), [false, false, false, false]);
    pass(1_000);
    assertEquals(ended(), [false, true, false, false]);
    answer();
    pass(10 * ANSWER_DEADLINE_MS);
    assertEquals(ended(), [false, true, false, false]);
    bed.guard.close();
    assertEquals(ended(), [true, true, true, true]);
  });
});
