import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../support/until.ts";
import { DAMAGES } from "../dialects/damages.ts";
import { countsOf, play } from "./scripted_run.ts";
import { stamp } from "./scripted_server.ts";

/** A limit that a busy machine keeps to as well, for tests that have to wait until it passes. */
const LIMIT_MS = 1500;

describe("what a bot receives", () => {
  it("is good when it is the message, once", async () => {
    const { report } = await play({});
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
    assertEquals([report.n, report.good, report.bad], [4, 4, 0]);
  });

  it("is good however the message is split", async () => {
    const { report } = await play({
      async onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (let at = 0; at < frame.length; at++) {
          for (const [bot, socket] of subscribers.entries()) {
            // Each in pieces of another length, the first of one byte.
            if (at % (bot + 1) === 0) socket.write(frame.slice(at, at + bot + 1));
          }
          await sleep(0);
        }
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
  });

  it("is missing when nothing comes", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers.slice(1)) socket.write(frame);
      },
    }, { timeoutMs: LIMIT_MS });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, missing: 1 });
    assertEquals([report.good, report.bad, report.verdict], [3, 1, "neither"]);
  });

  it("is missing and late when it comes past the limit", async () => {
    const { report } = await play({
      onPublish({ message, subscribers: [late, ...others] }) {
        const frame = stamp(message);
        for (const socket of others) socket.write(frame);
        setTimeout(() => late!.write(frame), LIMIT_MS + 50);
      },
    }, { timeoutMs: LIMIT_MS });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, missing: 1, late: 1 });
  });

  it("is late in the next round when it comes only then", async () => {
    let heldBack = "";
    const { report } = await play({
      onPublish({ message, subscribers: [late, ...others], round }) {
        const frame = stamp(message);
        for (const socket of others) socket.write(frame);
        if (round === 0) heldBack = frame;
        else late!.write(heldBack + frame);
      },
    }, { timeoutMs: LIMIT_MS, rounds: 2 });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, missing: 1 });
    assertEquals(countsOf(report.rounds[1]), { good: 4, late: 1 });
    assertEquals(report.good, 3);
  });

  it("is a duplicate when it comes twice in one segment", async () => {
    const { report } = await play({
      onPublish({ message, subscribers: [twice, ...others] }) {
        const frame = stamp(message);
        twice!.write(frame + frame);
        for (const socket of others) socket.write(frame);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, duplicate: 1 });
  });

  it("counts in its own round, not in the next", async () => {
    const { report } = await play({
      onPublish({ message, subscribers: [victim, ...others], round }) {
        const frame = stamp(message);
        for (const socket of [victim!, ...others]) socket.write(frame);
        if (round === 0) victim!.write(frame + frame.replace("test", "text"));
      },
    }, { rounds: 2 });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, duplicate: 1, corrupt: 1 });
    assertEquals(countsOf(report.rounds[1]), { good: 4 });
  });

  it("is a duplicate when it comes again after everyone has it", async () => {
    const { report } = await play({
      onPublish({ message, subscribers: [twice, ...others] }) {
        const frame = stamp(message);
        for (const socket of [twice!, ...others]) socket.write(frame);
        setTimeout(() => twice!.write(frame), 50);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, duplicate: 1 });
  });

  it("is a duplicate when an earlier round's message comes again", async () => {
    let first = "";
    const { report } = await play({
      onPublish({ message, subscribers, round }) {
        const frame = stamp(message);
        if (round === 0) first = frame;
        for (const socket of subscribers) socket.write(frame);
        if (round === 1) subscribers[2]!.write(first);
      },
    }, { rounds: 2 });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
    assertEquals(countsOf(report.rounds[1]), { good: 3, bad: 1, duplicate: 1 });
  });

  for (const isFirst of [true, false]) {
    const order = isFirst ? "before" : "after";
    it(`is corrupt when it is damaged in any way, ${order} the right one is known`, async () => {
      const damages = Object.values(DAMAGES);
      const { report } = await play({
        onPublish({ message, subscribers }) {
          const frame = stamp(message);
          const sendDamaged = () => {
            for (const [at, damage] of damages.entries()) subscribers[at]!.write(damage(frame));
          };
          const sendRight = () => {
            for (const socket of subscribers.slice(damages.length)) socket.write(frame);
          };
          (isFirst ? sendDamaged : sendRight)();
          setTimeout(isFirst ? sendRight : sendDamaged, 50);
        },
      }, { n: damages.length + 2, timeoutMs: LIMIT_MS });
      const corrupt = damages.length;
      assertEquals(countsOf(report.rounds[0]), { good: 2, bad: corrupt, corrupt });
    });
  }

  it("is corrupt when a damaged copy comes beside the right one", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
        subscribers[3]!.write(frame.replace('"test"', '"tent"'));
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, corrupt: 1 });
  });

  it("is corrupt when a frame comes that the server may not send then", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
        subscribers[0]!.write("ACK\x01");
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, corrupt: 1 });
  });

  it("is foreign when another's message comes as well", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const ours = stamp(message);
        const theirs = stamp('{"topic":"events","event":"other","message_id":"7","data":"hello"}');
        for (const socket of subscribers) socket.write(ours + theirs);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { bad: 4, foreign: 4 });
  });

  it("is foreign when another publishes the very same message", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const both = stamp(message) + stamp(message);
        for (const socket of subscribers) socket.write(both);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { bad: 4, foreign: 4 });
  });

  it("is none of the bot's business when it is a PING, which it doesn't answer", async () => {
    const { report, server } = await play({
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(`PING\x01${frame}PING\x01`);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
    assertEquals(server.said.filter((said) => said.includes("PONG")), []);
  });

  it("may be any size and text", async () => {
    for (const data of ["x".repeat(300_000), 'a"\\\u0001 \ud83d\ude00 \u2028']) {
      const { report } = await play({}, { data, topic: "caf\u00e9", rounds: 2 });
      assertEquals(report.rounds.map(countsOf), [{ good: 4 }, { good: 4 }]);
    }
  });
});

describe("a connection that ends", () => {
  it("makes its bot a missing one, and no other waits for it", { timeout: 60_000 }, async () => {
    const { report } = await play({
      onPublish({ message, subscribers: [gone, ...others] }) {
        gone!.end(
          '{"timestamp":[1,2,3],"error":{"code":"slow_consumer","message":"too slow"}}\x01',
        );
        const frame = stamp(message);
        for (const socket of others) socket.write(frame);
      },
    }, { rounds: 2, timeoutMs: 600_000 });
    const [first, second] = report.rounds;
    assertEquals(countsOf(first), { good: 3, bad: 1, missing: 1, disconnected: 1 });
    assertEquals(countsOf(second), { good: 2, bad: 2, missing: 2, disconnected: 2 });
    assertEquals(first!.refusals, { slow_consumer: 1 });
  });
});

describe("a bot's words", () => {
  it("are those of a 2009 client, in that order", async () => {
    const { report, server } = await play({
      async onPublish({ message, subscribers: [bot] }, server) {
        await until("the publisher has closed", () => server.ended[2]!);
        bot!.write(stamp(message));
      },
    }, { n: 1, timeoutMs: 60_000 });
    assertEquals(countsOf(report.rounds[0]), { good: 1 });
    const [probe, bot, publisher] = server.said;
    assertEquals(probe, "");
    assertEquals(
      bot,
      "<regular-socket/>\0PING\0" +
        '<regular-socket/>\0{"action":"subscribe","data":"events"}\0' +
        '<regular-socket/>\0{"action":"unsubscribe","data":"events"}\0',
    );
    assertEquals(
      publisher,
      "<regular-socket/>\0PUBLISH\0" +
        '{"topic":"events","event":"test_event","message_id":"","data":"test"}',
    );
  });
});

describe("a report", () => {
  it("has both latencies, and the publish is no later than the server's timestamp", async () => {
    const { report } = await play({}, { rounds: 2 });
    for (const round of report.rounds) {
      const { latency_ms, end_to_end_ms } = round;
      assertEquals(end_to_end_ms!.min >= latency_ms!.min, true);
      assertEquals(latency_ms!.min >= 0, true);
      assertEquals(round.histogram.reduce((sum, { count }) => sum + count, 0), 4);
    }
    assertMatch(report.started_at, /^\d{4}-\d\d-\d\dT/);
    assertStringIncludes(report.schema, "hotwheels-bots/");
  });
});
