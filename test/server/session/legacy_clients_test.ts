import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { describe, it } from "node:test";
import { SWEEP_INTERVAL_MS } from "../../../server/limits/clients.ts";
import { delivered, errorOf, message, unstamp } from "../../support/clients/janus_client.ts";
import { framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";

const MARKER = "<regular-socket/>\0";
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** The frames of a bot of 2009 until it listens. */
function subscribing(topic: string): string {
  return `${MARKER}PING\0${MARKER}{"action":"subscribe","data":"${topic}"}\0`;
}

function dialLegacy(bed: MemoryBed, said = subscribing("t")): MemoryPeer {
  const peer = bed.dial();
  peer.send(said);
  bed.net.settle();
  return peer;
}

/** Publishes to a topic, by a publisher of 2009. */
function publishTo(bed: MemoryBed, topic: string, data: unknown = "test"): void {
  const peer = dialLegacy(bed, `${MARKER}PUBLISH\0${message(topic, data)}`);
  peer.end();
  bed.net.settle();
}

/** Frames without their timestamps. */
function unstamped(peer: MemoryPeer): string[] {
  return framesOf(peer).map((frame) => frame.startsWith("{") ? unstamp(frame).rest : frame);
}

/** The time until the peer has had as many frames, as exact as the sweeps. */
function timeUntil(bed: MemoryBed, peer: MemoryPeer, frames: number): number {
  let passedMs = 0;
  while (framesOf(peer).length < frames && passedMs < HOUR) {
    bed.pass(SWEEP_INTERVAL_MS);
    passedMs += SWEEP_INTERVAL_MS;
  }
  return passedMs;
}

function assertAbout(actualMs: number, expectedMs: number): void {
  assertGreaterOrEqual(actualMs, expectedMs);
  assertLessOrEqual(actualMs, expectedMs + 2 * SWEEP_INTERVAL_MS);
}

/** The server has closed the connection, and said no more than this. */
function assertClosedSilently(bed: MemoryBed, peer: MemoryPeer, reason: string, ...said: string[]) {
  assertEquals([unstamped(peer), peer.ended], [said, true]);
  assertEquals(bed.ended.at(-1)?.reason, reason);
}

/** The server has told the client why, and closed. */
function assertTold(peer: MemoryPeer, code: string): void {
  const frames = framesOf(peer);
  assertEquals([errorOf(frames.at(-1)).code, peer.ended], [code, true]);
}

describe("a subscriber of 2009", () => {
  it("hears nothing, however long it waits for its first message", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed);
    bed.pass(HOUR);
    assertEquals(framesOf(peer), ["ACK"]);
    publishTo(bed, "t");
    assertEquals(unstamped(peer), ["ACK", delivered(message("t"))]);
    assertEquals(peer.ended, false);
  });

  it("is asked once, 30 s after its last message, and needn't answer", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed);
    bed.pass(100 * SECOND);
    for (let i = 0; i < 5; i++) {
      publishTo(bed, "t");
      bed.pass(20 * SECOND);
    }
    assertEquals(framesOf(peer).length, 6);
    assertAbout(timeUntil(bed, peer, 7), 10 * SECOND);
    assertEquals(framesOf(peer).at(-1), "PING");
    bed.pass(HOUR);
    assertEquals([framesOf(peer).length, peer.ended], [7, false]);
    publishTo(bed, "t");
    assertAbout(timeUntil(bed, peer, 9), 30 * SECOND);
    bed.pass(HOUR);
    assertEquals(framesOf(peer).slice(6).filter((frame) => frame === "PING").length, 2);
    assertEquals([framesOf(peer).length, peer.ended], [9, false]);
  });

  it("isn't asked where a sign of life came behind the message, however soon", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed);
    publishTo(bed, "t");
    peer.send(`${MARKER}PING\0`);
    bed.net.settle();
    bed.pass(HOUR);
    assertEquals(framesOf(peer).length, 2);
    publishTo(bed, "t");
    bed.pass(20 * SECOND);
    peer.send("<");
    bed.pass(HOUR);
    assertEquals([framesOf(peer).length, peer.ended], [3, false]);
  });

  it("is asked where the message came behind the sign of life, however soon", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed);
    publishTo(bed, "t");
    peer.send(`${MARKER}{"action":"subscribe","data":"u"}\0`);
    bed.net.settle();
    publishTo(bed, "u");
    assertAbout(timeUntil(bed, peer, 5), 30 * SECOND);
    assertEquals(framesOf(peer).at(-1), "PING");
  });

  it("isn't asked because of messages that others get, or of those before it came", async () => {
    const bed = await MemoryBed.start();
    bed.subscribed(["t", "u"]);
    publishTo(bed, "t");
    const peer = dialLegacy(bed);
    publishTo(bed, "u");
    bed.pass(HOUR);
    assertEquals(framesOf(peer), ["ACK"]);
  });

  it("isn't asked because it unsubscribed from a topic that had brought it messages", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed);
    peer.send(`${MARKER}{"action":"subscribe","data":"u"}\0`);
    publishTo(bed, "t");
    peer.send(`${MARKER}{"action":"unsubscribe","data":"t"}\0`);
    bed.pass(HOUR);
    assertEquals([framesOf(peer).length, peer.ended], [3, false]);
  });

  it("is closed without a word for as much silence as --legacy-idle-timeout says", async () => {
    const bed = await MemoryBed.start({ legacyIdleMs: 100 * SECOND });
    const peer = dialLegacy(bed);
    bed.pass(90 * SECOND);
    peer.send("\0");
    bed.pass(99 * SECOND);
    assertEquals([framesOf(peer), peer.ended], [["ACK"], false]);
    bed.pass(SECOND);
    assertClosedSilently(bed, peer, "idle_timeout", "ACK");
  });

  it("is closed without a word once it's subscribed to nothing, after --idle-timeout", async () => {
    const bed = await MemoryBed.start({ idleMs: 40 * SECOND });
    const peer = dialLegacy(bed);
    publishTo(bed, "t");
    bed.pass(20 * SECOND);
    peer.send(`${MARKER}{"action":"unsubscribe","data":"t"}\0`);
    bed.pass(39 * SECOND);
    assertEquals(peer.ended, false);
    bed.pass(2 * SECOND);
    assertClosedSilently(bed, peer, "idle_timeout", "ACK", delivered(message("t")));
  });
});

describe("a client of 2009 that is subscribed to nothing", () => {
  for (
    const said of [
      MARKER,
      `${MARKER}PING\0`,
      `${MARKER}{"action":"subscr`,
      `${MARKER}PUBLISH\0`,
      `${MARKER}PUBLISH\0${MARKER.slice(0, 5)}`,
      `${MARKER}PUBLISH\0{"topic":"t"`,
      ...Array.from({ length: 17 }, (_, i) => MARKER.slice(0, i + 1)),
    ]
  ) {
    it(`is closed after --idle-timeout, without a word, behind ${JSON.stringify(said)}`, async () => {
      const bed = await MemoryBed.start();
      const peer = dialLegacy(bed, said);
      bed.pass(29 * SECOND);
      assertEquals(peer.ended, false);
      bed.pass(2 * SECOND);
      assertClosedSilently(bed, peer, "idle_timeout");
    });
  }

  it("stays as long as it gives signs of life", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed, MARKER);
    for (let i = 0; i < 10; i++) {
      bed.pass(25 * SECOND);
      peer.send(`${MARKER}PING\0`);
    }
    assertEquals([framesOf(peer), peer.ended], [[], false]);
  });

  it("is closed a second behind its message, as publishers are", async () => {
    const bed = await MemoryBed.start();
    const peer = dialLegacy(bed, `${MARKER}PUBLISH\0${message("t")} `);
    bed.pass(1_500);
    assertClosedSilently(bed, peer, "published");
  });
});

describe("a client of 2009 that does wrong", () => {
  const WRONGS: readonly (readonly [reason: string, said: string])[] = [
    ["bad_frame", "nonsense\0"],
    ["bad_frame", "\x01\0"],
    ["bad_frame", '{"action":"subscribe"}\0'],
    ["bad_frame", '{"action":"authenticate"}\0'],
    ["bad_frame", `PUBLISH\0${message("elsewhere")}x`],
    ["bad_message", "PUBLISH\0x"],
    ["bad_message", "PUBLISH\0{}"],
    ["bad_message", 'PUBLISH\0{"topic":"t","timestamp":0}'],
    ["frame_too_large", "x".repeat(101)],
    ["frame_too_large", `PUBLISH\0{"topic":"${"x".repeat(100)}`],
    [
      "too_many_topics",
      `{"action":"subscribe","data":"u"}\0${MARKER}{"action":"subscribe","data":"v"}\0`,
    ],
  ];
  for (const [reason, said] of WRONGS) {
    it(`is closed without a word for ${reason}: ${JSON.stringify(said.slice(0, 50))}`, async () => {
      for (const splits of [false, true]) {
        const bed = await MemoryBed.start({ maxFrameBytes: 100, maxTopics: 2 });
        const peer = dialLegacy(bed);
        for (const piece of splits ? `${MARKER}${said}` : [`${MARKER}${said}`]) {
          peer.send(piece);
          bed.net.settle();
        }
        const acks = reason === "too_many_topics" ? ["ACK", "ACK"] : ["ACK"];
        assertClosedSilently(bed, peer, reason, ...acks);
      }
    });
  }

  it("is told what a client of today is, where the marker isn't what came first", async () => {
    for (const first of ["\0", "PING\0", "<regular-socket>\0", '{"action":"subscribe"}\0']) {
      const bed = await MemoryBed.start();
      const peer = dialLegacy(bed, `${first}${MARKER}nonsense\0`);
      assertTold(peer, "bad_frame");
    }
  });
});

describe("a client of 2009 that does something new", () => {
  const DEEDS: readonly (readonly [what: string, said: string])[] = [
    ["PONG", "PONG\0"],
    ["authenticate", '{"action":"authenticate","data":"key"}\0'],
    ["a publish for a receipt", `{"action":"publish","data":${message("elsewhere")}}\0`],
    ["a terminated MESSAGE", `PUBLISH\0${message("elsewhere")}\0`],
  ];
  for (const [what, said] of DEEDS) {
    it(`is asked, told and closed as a client of today is, from ${what} on`, async () => {
      const bed = await MemoryBed.start();
      const peer = dialLegacy(bed);
      bed.pass(100 * SECOND);
      peer.send(`${MARKER}${said}`);
      bed.net.settle();
      const before = framesOf(peer).length;
      bed.pass(31 * SECOND);
      assertEquals(framesOf(peer).slice(before), ["PING"]);
      // What it was is forgotten, whatever it begins its frames with.
      peer.send(MARKER);
      bed.pass(31 * SECOND);
      assertEquals(framesOf(peer).slice(before), ["PING", "PING"]);
      bed.pass(31 * SECOND);
      assertTold(peer, "idle_timeout");

      const wrong = dialLegacy(bed, `${subscribing("t")}${MARKER}${said}${MARKER}nonsense\0`);
      assertTold(wrong, "bad_frame");
    });
  }

  it("is told what follows the new thing in one segment, but not what came before it", async () => {
    const bed = await MemoryBed.start({ maxTopics: 1 });
    const other = `${MARKER}{"action":"subscribe","data":"u"}\0`;
    assertTold(dialLegacy(bed, `${subscribing("t")}PONG\0${other}`), "too_many_topics");
    const peer = dialLegacy(bed, `${subscribing("t")}${other}PONG\0`);
    assertClosedSilently(bed, peer, "too_many_topics", "ACK");
  });
});
