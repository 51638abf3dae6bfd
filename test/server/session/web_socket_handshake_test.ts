import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { until } from "../../support/until.ts";
import { request } from "../../support/web_socket/frames.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";
import { withWebSockets } from "./web_socket_bed.ts";

describe("a handshake", () => {
  it("must be complete within the time for a first frame, however slowly it comes", async () => {
    await withWebSockets({ idleMs: 1_000 }, async (_open, bed, port) => {
      const half = WebSocketClient.bare(port);
      half.send(request().subarray(0, 100));
      const silent = WebSocketClient.bare(port);
      const slow = WebSocketClient.bare(port);
      let sent = 0;
      const timer = setInterval(() => slow.send(request().subarray(sent, ++sent)), 30);
      try {
        await Promise.all([half, silent, slow].map((client) => client.ended()));
        await bed.untilEnded("idle_timeout", 3);
        assertEquals([half.answer, silent.answer, slow.answer], ["", "", ""]);
        await until("their memory is free", () => bed.server.heldBytes === 0);
      } finally {
        clearInterval(timer);
        for (const client of [half, silent, slow]) client.dispose();
      }
    });
  });

  it("that is refused is answered, and the connection ended", async () => {
    const wrong: [number, Uint8Array][] = [
      [400, request({ "Sec-WebSocket-Key": "short" })],
      [403, request({ Origin: "http://evil.example" })],
      [405, request({}, "DELETE / HTTP/1.1")],
      [426, request({ Upgrade: null })],
      [431, request({ Cookie: "x".repeat(8_200) })],
    ];
    await withWebSockets({}, async (open, bed) => {
      for (const [status, handshake] of wrong) {
        const web = await open(handshake);
        assertEquals(web.status, status);
        await web.ended();
      }
      await bed.untilEnded("handshake_failed", wrong.length);
      assertEquals((await open(request({ Origin: "http://127.0.0.1:3000" }))).status, 101);
    });
  });

  it("counts the memory that it holds", async () => {
    await withWebSockets({}, async (_open, bed, port) => {
      const clients = Array.from({ length: 10 }, () => WebSocketClient.bare(port));
      for (const client of clients) {
        client.send(request({ Cookie: "x".repeat(4_000) }).subarray(0, 3_000));
      }
      await until("all is held", () => bed.server.heldBytes >= 10 * 3_000);
      assertLess(bed.server.heldBytes, 10 * 8_193);
      for (const client of clients) client.dispose();
      await until("their memory is free", () => bed.server.heldBytes === 0);
    });
  });
});
