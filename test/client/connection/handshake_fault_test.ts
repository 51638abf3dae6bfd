import { assertEquals, assertMatch } from "@std/assert";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, describe, it } from "node:test";
import { connect } from "../../../client/mod.ts";
import { failure } from "../suite/case.ts";

// Not part of the suite: neither browsers nor Node 20's own WebSocket tell.
describe("a client that looks for a WebSocket where there is none", () => {
  const servers: Server[] = [];
  after(() => servers.forEach((server) => server.close()));

  async function portOf(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  function answering(status: number): Promise<number> {
    const server = createHttpServer();
    server.on("upgrade", (_, socket) => {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
    });
    return portOf(server);
  }

  const errorOf = (url: string) => failure(connect(url, { retry: { attempts: 1 } }));

  it("tries again where that may help, and says else what to do", { timeout: 30_000 }, async () => {
    for (const status of [200, 301, 400, 403, 404, 426]) {
      const error = await errorOf(`ws://127.0.0.1:${await answering(status)}`);
      assertEquals(error.name, "UrlError", error.message);
      assertMatch(error.message, new RegExp(`${status}.*--ws-`));
    }
    for (const status of [408, 429, 500, 502, 503]) {
      const error = await errorOf(`ws://127.0.0.1:${await answering(status)}`);
      assertEquals(error.name, "ConnectionError", error.message);
    }
  });

  it("knows a server that speaks no TLS", { timeout: 30_000 }, async () => {
    const plain = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const error = await errorOf(`wss://127.0.0.1:${await portOf(plain)}`);
    assertEquals(error.name, "UrlError", error.message);
    assertMatch(error.message, /Write ws:\/\/ for wss:\/\/$/);
  });
});
