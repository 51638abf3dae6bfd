import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import { join } from "../../support/bytes.ts";
import { errorOf, GREETING, message, publish } from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";
import {
  BINARY,
  CLOSE,
  closePayload,
  CONTINUATION,
  frame,
  PING,
  request,
  TEXT,
} from "../../support/web_socket/frames.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";
import { withWebSockets } from "./web_socket_bed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** The codes of what came last: the error frame's, and the close frame's. */
async function endOf(client: WebSocketClient): Promise<[string, number | null | undefined]> {
  await client.ended();
  const { code } = errorOf(client.said.at(-1));
  // The close frame comes behind everything else.
  assertEquals(client.frames.at(-1)?.opcode, CLOSE);
  return [code, client.close?.code];
}

describe("a client that comes by WebSocket", () => {
  it("may send its handshake and its first message in two parts, wherever they are cut", {
    timeout: 60_000,
  }, async () => {
    await withWebSockets({}, async (_open, _bed, port) => {
      const all = join([request(), frame(TEXT, '{"action":"subscribe","data":"t"}\0')]);
      const clients = Array.from(all, () => WebSocketClient.bare(port));
      for (const [cut, client] of clients.entries()) client.send(all.subarray(0, cut));
      await quiet(200);
      for (const [cut, client] of clients.entries()) client.send(all.subarray(cut));
      for (const [cut, client] of clients.entries()) {
        await client.answered();
        assertEquals(client.status, 101, `${cut}`);
        await until(`it is subscribed, cut at ${cut}`, () => client.said.includes("ACK"));
        client.dispose();
      }
    });
  });

  it("is a client like any other, and exchanges messages with those on TCP", async () => {
    await withWebSockets({}, async (open, bed) => {
      const web = await open();
      assertEquals(web.status, 101);
      assertMatch((await web.heard(1))[0]!, GREETING);
      await web.subscribe("t");
      const tcp = await bed.subscribed("t");
      web.say(publish(message("t", "é, from the web")));
      assertMatch(await tcp.frame(), /"data":"é, from the web"\}$/);
      (await bed.greeted()).send(publish(message("t", "from TCP")));
      const [, , first, second] = await web.heard(4);
      assertMatch(first!, /"data":"é, from the web"\}$/);
      assertMatch(second!, /"data":"from TCP"\}$/);
      web.say(`{"action":"publish","data":${message("t", "with a receipt")}}\0`);
      const frames = await web.heard(6);
      assertMatch(frames[4]!, /"data":"with a receipt"\}$/);
      assertMatch(frames[5]!, /"receipt":\{"matched":2,"written":2,"queued":0,"evicted":0\}\}$/);
    });
  });

  it("may cut its frames into messages and fragments anywhere, text or binary", async () => {
    await withWebSockets({}, async (open) => {
      const web = await open();
      await web.subscribe("t");
      const stream = new TextEncoder().encode(
        `PING\0${publish(message("t", "aéb"))}\0<regular-socket/>\0${publish(message("t", 2))}`,
      );
      // Not between MESSAGE and its NUL, where a message can't end.
      const cuts = [3, 5, 17, 20, 27, stream.length - 20, stream.length];
      let start = 0;
      for (const [i, end] of cuts.entries()) {
        web.send(frame(BINARY, stream.subarray(start, end)));
        if (i % 2 === 0) web.send(frame(PING));
        start = end;
      }
      const [, , first, second] = await web.heard(4);
      assertMatch(first!, /"data":"aéb"\}$/);
      assertMatch(second!, /"data":2\}$/);
      const text = new TextEncoder().encode(publish(message("t", "é3")));
      for (let i = 0; i < text.length; i++) {
        const isFinal = i === text.length - 1;
        web.send(frame(i === 0 ? TEXT : CONTINUATION, text.subarray(i, i + 1), { isFinal }));
      }
      assertMatch((await web.heard(5))[4]!, /"data":"é3"\}$/);
    });
  });

  it("gets whole frames in each message, of 16 KiB at most unless one is longer", async () => {
    await withWebSockets({}, async (open, bed) => {
      const web = await open();
      await web.subscribe("t");
      const publisher = await bed.greeted();
      const sizes = [10, 5_000, 5_000, 5_000, 5_000, 40_000, 100, 20_000, 1, 16_300];
      await publisher.sent(sizes.map((size) => publish(message("t", "x".repeat(size)))).join(""));
      const frames = await web.heard(2 + sizes.length);
      assertEquals(
        frames.slice(2).map((one) => /"data":"(x*)"/.exec(one)![1]!.length),
        sizes,
      );
      for (const text of web.messages) {
        assertEquals(text.at(-1), "\x01");
        const isLone = text.indexOf("\x01") === text.length - 1;
        if (!isLone) assertLess(text.length, 16 * KIB + 1);
      }
    });
  });

  it("must terminate MESSAGE before a message ends, and what isn't terminated isn't published", async () => {
    const wrong = [
      [frame(TEXT, `PUBLISH\0${message("t", "lost")}`)],
      [frame(TEXT, `PUBLISH\0${message("t", "lost")} `)],
      [frame(TEXT, `PUBLISH\0`), frame(TEXT, message("t", "lost"))],
      [frame(TEXT, `PUBLISH\0${message("t", "lost")}`), frame(TEXT, "\0")],
      [
        frame(TEXT, `PUBLISH\0${message("t", "lost")}`, { isFinal: false }),
        frame(CONTINUATION, ""),
      ],
    ];
    await withWebSockets({}, async (open, bed) => {
      const tcp = await bed.subscribed("t");
      for (const frames of wrong) {
        const web = await open();
        for (const one of frames) web.send(one);
        assertEquals(await endOf(web), ["bad_frame", 1008]);
      }
      (await open()).say(publish(message("t", "first")));
      assertMatch(await tcp.frame(), /"data":"first"\}$/);
      const parts = await open();
      parts.send(frame(TEXT, `PUBLISH\0${message("t", "second")}`, { isFinal: false }));
      await quiet(100);
      parts.send(frame(CONTINUATION, " ", { isFinal: false }));
      parts.send(frame(CONTINUATION, "\0"));
      assertMatch(await tcp.frame(), /"data":"second"\}$/);
    });
  });

  it("is held to the end of its messages also while what it sends has to wait", async () => {
    await withWebSockets({ publishRate: 10 }, async (open, bed) => {
      const tcp = await bed.subscribed("t");
      const web = await open();
      const many = Array.from({ length: 15 }, (_, i) => publish(message("t", i))).join("");
      web.send(join([frame(TEXT, many), frame(TEXT, `PUBLISH\0${message("t", "lost")}`)]));
      for (let i = 0; i < 15; i++) assertMatch(await tcp.frame(), new RegExp(`"data":${i}\\}$`));
      assertEquals(await endOf(web), ["bad_frame", 1008]);
    });
  });

  const ends: Record<string, [Uint8Array | Uint8Array[], string, number]> = {
    "breaks the protocol": [frame(TEXT, "nonsense\0"), "bad_frame", 1008],
    "publishes what isn't JSON": [frame(TEXT, "PUBLISH\0x"), "bad_message", 1008],
    "sends a frame that isn't masked": [frame(TEXT, "PING\0", { mask: null }), "bad_frame", 1002],
    "sets a reserved bit": [frame(TEXT, "PING\0", { reserved: 4 }), "bad_frame", 1002],
    "sends text that isn't UTF-8": [frame(TEXT, new Uint8Array([0xff, 0])), "bad_frame", 1007],
    "sends a frame that is too long": [frame(TEXT, "x".repeat(70_000)), "frame_too_large", 1009],
    "fragments such a frame": [
      Array.from(
        { length: 70 },
        (_, i) => frame(i === 0 ? TEXT : CONTINUATION, "x".repeat(1_000), { isFinal: false }),
      ),
      "frame_too_large",
      1009,
    ],
  };
  for (const [what, [sent, error, code]] of Object.entries(ends)) {
    it(`is told why and closed with ${code} when it ${what}`, async () => {
      await withWebSockets({}, async (open, bed) => {
        const tcp = await bed.subscribed("t");
        const web = await open();
        web.send(join([frame(TEXT, publish(message("t", "before"))), ...[sent].flat()]));
        assertEquals(await endOf(web), [error, code]);
        assertMatch(await tcp.frame(), /"data":"before"\}$/, "what came before counts");
      });
    });
  }

  it("is closed with its own code when it closes, behind what is due to it", async () => {
    await withWebSockets({}, async (open, bed) => {
      for (const code of [1000, 1001, 3000]) {
        const web = await open();
        await web.subscribe("t");
        web.send(
          join([frame(TEXT, publish(message("t", code))), frame(CLOSE, closePayload(code))]),
        );
        await web.ended();
        assertEquals(web.close, { code, reason: "" });
        assertMatch(web.said.at(-1)!, new RegExp(`"data":${code}\\}$`));
      }
      await bed.untilEnded("client_closed", 3);
      const web = await open();
      await web.heard(1);
      web.end();
      await web.ended();
      assertEquals(web.close, { code: 1000, reason: "client_closed" });
    });
  });

  it("is closed with 1001 when the server stops", async () => {
    await withWebSockets({}, async (open, bed) => {
      const web = await open();
      await web.subscribe("t");
      const stopping = bed.server.stop();
      assertEquals(await endOf(web), ["server_shutdown", 1001]);
      assertMatch(web.said.at(-1)!, /"retry_after_ms":\d+/);
      web.end();
      await stopping;
    });
  });

  it("is told that there is no room for it", async () => {
    await withWebSockets({ maxConnections: 2 }, async (open) => {
      await open();
      await open();
      const third = await open();
      third.say("PING\0");
      assertEquals(await endOf(third), ["too_many_connections", 1011]);
    });
  });

  it("gets pongs for its pings, which are signs of life", async () => {
    await withWebSockets({ pingAfterMs: 500, idleMs: 500 }, async (open, bed) => {
      const web = await open();
      await web.subscribe("t");
      const silent = await open();
      await silent.subscribe("t");
      let pings = 0;
      await until("the silent one is ended", () => {
        web.send(frame(PING, `${++pings}`));
        return silent.hasEnded;
      });
      assertEquals(await endOf(silent), ["idle_timeout", 1008]);
      await until("all are answered", () => web.pongs === pings);
      assertEquals([web.hasEnded, web.said.includes("PING")], [false, false]);
      assertEquals(bed.server.counters.ended.idle_timeout, 1);
    });
  });

  it("is closed when it floods the server with pings, or with fragments of nothing", async () => {
    await withWebSockets({}, async (open) => {
      const floods = [
        frame(PING, "x".repeat(100)),
        frame(CONTINUATION, "", { isFinal: false }),
      ];
      for (const one of floods) {
        const web = await open();
        web.send(frame(TEXT, "PING\0", { isFinal: false }));
        web.send(join(Array(1_100).fill(one)));
        assertEquals(await endOf(web), ["bad_frame", 1008]);
      }
    });
  });

  it("shares the bytes of a message with all others, which count once", async () => {
    await withWebSockets({}, async (open, bed) => {
      const clients: WebSocketClient[] = [];
      for (let i = 0; i < 8; i++) {
        const web = await open();
        await web.subscribe("t");
        web.stall();
        clients.push(web);
      }
      const publisher = await bed.greeted();
      const size = 60 * KIB;
      let count = 0;
      // As many as the kernels don't take.
      while (bed.server.heldBytes < MIB) {
        await publisher.sent(publish(message("t", "x".repeat(size))));
        count++;
        await quiet(1);
      }
      await publisher.synced();
      assertLess(bed.server.heldBytes, count * size * 1.1);
      for (const web of clients) web.flow();
      for (const web of clients) {
        await until("all has come", () => web.said.length === 2 + count, 30_000);
      }
      assertEquals(bed.server.heldBytes, 0);
    });
  });

  it("is evicted when it doesn't read", async () => {
    await withWebSockets({ maxPendingBytes: MIB }, async (open, bed) => {
      const web = await open();
      await web.subscribe("t");
      web.stall();
      const publisher = await bed.greeted();
      for (let i = 0; bed.server.counters.ended.slow_consumer === 0; i++) {
        await publisher.sent(publish(message("t", "x".repeat(60 * KIB))));
        assertLess(i, 1_000);
      }
      web.flow();
      assertEquals(await endOf(web), ["slow_consumer", 1008]);
      assertGreater(web.said.length, 3);
    });
  });
});
