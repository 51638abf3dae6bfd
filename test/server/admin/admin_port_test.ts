import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type {
  CloseOptions,
  RunningServer,
  ServeAdminOptions,
} from "../../../server/running_server.ts";
import { serve } from "../../../server/serve.ts";
import { health, RawHttp, untilAnswered } from "../../support/clients/admin_client.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

const KEY = "correct horse battery staple é";

interface Bed {
  readonly server: RunningServer;
  readonly url: string;
  /** Sends a request, and waits for its answer's status. */
  status(head: string): Promise<number>;
  raw(): RawHttp;
}

async function withAdmin(
  admin: ServeAdminOptions,
  body: (bed: Bed) => Promise<void>,
  close: CloseOptions = {},
): Promise<void> {
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    admin,
    limits: { maxConnections: 500 },
  });
  const url = server.adminUrl!;
  const opened: RawHttp[] = [];
  const raw = () => {
    const one = new RawHttp(url);
    opened.push(one);
    return one;
  };
  try {
    await body({
      server,
      url,
      raw,
      async status(head) {
        const one = raw();
        one.send(head);
        await until("an answer comes", () => one.status !== 0);
        return one.status;
      },
    });
  } finally {
    for (const one of opened) one.close();
    await server.close(close);
  }
}

/** A GET request. */
function get(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: 127.0.0.1", ...headers, "", ""].join("\r\n");
}

describe("an admin port", () => {
  it("answers GET and HEAD, and nothing else", async () => {
    await withAdmin({}, async ({ status, url }) => {
      assertEquals(await status(get("/livez")), 200);
      const head = await fetch(`${url}/metrics`, { method: "HEAD" });
      assertEquals([head.status, await head.text()], [200, ""]);
      assert(Number(head.headers.get("content-length")) > 1_000);
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]) {
        assertEquals(await status(`${method} / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`), 405, method);
      }
      assertEquals(await status(get("/nothing")), 404);
      assertEquals(await status(get("/../../etc/passwd")), 404);
    });
  });

  it("refuses bodies before they come", async () => {
    await withAdmin({}, async ({ raw }) => {
      for (
        const header of [
          "Content-Length: 1000000000",
          "Transfer-Encoding: chunked",
          "Content-Length: 1\r\nExpect: 100-continue",
        ]
      ) {
        const one = raw();
        one.send(get("/metrics", header));
        await until("the connection ends", () => one.hasEnded);
        assertEquals(one.status, 413, header);
      }
    });
  });

  it("bounds a request's headers, and their number", async () => {
    await withAdmin({}, async ({ raw, status }) => {
      assertEquals(await status(get("/livez", `A: ${"a".repeat(6_000)}`)), 200);
      const one = raw();
      one.send(get("/livez", `A: ${"a".repeat(100_000)}`));
      await until("the connection ends", () => one.hasEnded);
      assert(one.status === 431 || one.status === 0, one.answer);
      const garbage = raw();
      garbage.send("\x16\x03\x01\x00\xa5\r\n\r\n");
      await until("the connection ends", () => garbage.hasEnded);
      assert(garbage.status === 400 || garbage.status === 0, garbage.answer);
    });
  });

  it("ends a connection whose request doesn't come", { timeout: 30_000 }, async () => {
    await withAdmin({}, async ({ raw }) => {
      const silent = raw();
      const slow = raw();
      slow.send("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n");
      const dripping = setInterval(() => slow.send("A: b\r\n"), 200);
      try {
        await until("both have ended", () => silent.hasEnded && slow.hasEnded, 20_000);
      } finally {
        clearInterval(dripping);
      }
      assert(slow.status === 408 || slow.status === 0, slow.answer);
    });
  });

  it("serves beside more connections than it keeps", { timeout: 30_000 }, async () => {
    await withAdmin({}, async ({ raw, url }) => {
      const crowd: RawHttp[] = [];
      // No more at once than it accepts.
      while (!crowd.some(({ hasEnded, isRefused }) => hasEnded && !isRefused)) {
        const some = Array.from({ length: 8 }, () => raw());
        for (const one of some) one.send("GET / HTTP/1.1\r\n");
        crowd.push(...some);
        await sleep(100);
      }
      assert(crowd.length > 64);
      await untilAnswered(url);
    });
  });

  it("sends surplus requests away, and answers again a second later", {
    timeout: 30_000,
  }, async () => {
    await withAdmin({}, async ({ url }) => {
      const ask = async () => {
        const response = await fetch(`${url}/livez`);
        await response.body?.cancel();
        return response.status;
      };
      assertEquals(await ask(), 200);
      const statuses: number[] = [];
      while (!statuses.includes(429) && statuses.length < 5_000) {
        statuses.push(...await Promise.all(Array.from({ length: 10 }, ask)));
      }
      assertEquals(new Set(statuses), new Set([200, 429]));
      await sleep(1_500);
      assertEquals(await ask(), 200);
    });
  });

  it("ends a client that sends many requests at once", async () => {
    await withAdmin({}, async ({ raw, url }) => {
      const one = raw();
      one.send(get("/livez").repeat(2_000));
      await until("its connection ends", () => one.hasEnded);
      // Some may have been answered, one after the other.
      await sleep(1_500);
      assertEquals((await health(url, "livez")).status, 200);
    });
  });

  it("stops listening for a moment in a flood of connections, and then goes on", {
    timeout: 30_000,
  }, async () => {
    await withAdmin({}, async ({ raw, url }) => {
      let refused = 0;
      for (let i = 0; i < 60; i++) {
        const some = Array.from({ length: 25 }, raw);
        // One that the queue has no room for tries again a second later.
        await until("most are connected, or not", () => {
          return some.filter((one) => one.isSettled).length >= 8;
        });
        refused += some.filter((one) => one.isRefused).length;
        for (const one of some) one.close();
      }
      assert(refused > 300, `${refused} of 1500 are refused`);
      await untilAnswered(url);
    });
  });

  it("answers addresses and localhost, not names that an attacker's page may have", async () => {
    await withAdmin({}, async ({ status, url }) => {
      const { port } = new URL(url);
      const ask = (host: string) => status(`GET /metrics HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, "LOCALHOST", "[::1]:80"]) {
        assertEquals(await ask(host), 200, host);
      }
      for (
        const host of [
          "evil.example",
          `evil.example:${port}`,
          "127.0.0.1.evil.example",
          "localhost.evil.example",
          "127.0.0.1@evil.example",
          "[evil.example]",
          "localhost, evil.example",
        ]
      ) {
        const answer = await ask(host);
        assert(answer === 421 || answer === 400, `${host}: ${answer}`);
      }
      const two = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n";
      assertEquals(await status(two), 400);
      const absolute = "GET http://evil.example/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
      assertEquals(await status(absolute), 400);
      // A program without names, such as a load balancer.
      assertEquals(await status("GET /livez HTTP/1.0\r\n\r\n"), 200);
    });
  });

  it("lets no page of another origin read or embed what it answers", async () => {
    await withAdmin({}, async ({ url }) => {
      const { headers } = await fetch(`${url}/metrics`, { headers: { origin: "http://evil" } });
      assertEquals(headers.get("access-control-allow-origin"), null);
      assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
      assertEquals(headers.get("cache-control"), "no-store");
      assertEquals(headers.get("x-content-type-options"), "nosniff");
    });
  });

  it("says that it isn't ready while the server goes on before a stop", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0, admin: {} });
    const url = server.adminUrl!;
    assertEquals(await health(url, "readyz"), { status: 200, reasons: [] });
    const closing = server.close({ delayMs: 1_500 });
    assertEquals(await health(url, "readyz"), {
      status: 503,
      reasons: ["the server is stopping"],
    });
    assertEquals((await health(url, "livez")).status, 200);
    assert(server.address.transport === "tcp");
    const { hostname, port } = server.address;
    const client = await JanusClient.subscribed({ hostname, port }, "t");
    await closing;
    await client.dispose();
  });
});

describe("an admin port with keys", () => {
  it("wants one, but for its health", async () => {
    await withAdmin({ keys: ["other key, other key", KEY] }, async ({ status }) => {
      for (const path of ["/", "/metrics", "/status.json", "/trace", "/nothing"]) {
        assertEquals(await status(get(path)), 401, path);
      }
      assertEquals(await status(get("/livez")), 200);
      assertEquals(await status(get("/readyz")), 200);
    });
  });

  it("takes a key as a bearer token, or in the address once for a cookie", async () => {
    await withAdmin({ keys: ["other key, other key", KEY] }, async ({ server, url }) => {
      const path = `${url}/metrics`;
      const bytes = new TextEncoder().encode(KEY);
      const authorization = `Bearer ${String.fromCharCode(...bytes)}`;
      assertEquals((await fetch(path, { headers: { authorization } })).status, 200);
      const first = await fetch(`${path}?key=${encodeURIComponent(KEY)}`);
      assertEquals(first.status, 200);
      const setCookie = first.headers.get("set-cookie")!;
      for (const part of ["HttpOnly", "SameSite=Strict", "Path=/"]) {
        assertStringIncludes(setCookie, part);
      }
      const [cookie = ""] = setCookie.split(";");
      assertEquals((await fetch(path, { headers: { cookie: `a=b; ${cookie}` } })).status, 200);
      assertEquals(
        (await fetch(path, { headers: { cookie: cookie.slice(0, -1) } })).status,
        401,
      );
      // A cookie holds as long as its key.
      server.setAdminKeys(["another one altogether"]);
      assertEquals((await fetch(path, { headers: { cookie } })).status, 401);
    });
  });

  it("looks slowly at keys of an address that guesses, and at right ones then too", {
    timeout: 30_000,
  }, async () => {
    await withAdmin({ keys: [KEY] }, async ({ url }) => {
      const ask = async (key: string) => {
        const response = await fetch(`${url}/metrics?key=${encodeURIComponent(key)}`);
        return response.status;
      };
      for (let i = 0; i < 10; i++) assertEquals(await ask(`wrong ${i}`), 401);
      const beganMs = performance.now();
      const statuses = await Promise.all(
        Array.from({ length: 30 }, (_, i) => ask(`wrong again ${i}`)),
      );
      assertEquals(new Set(statuses), new Set([429]));
      assertEquals(await ask(KEY), 200);
      assert(performance.now() - beganMs >= 1_900);
    });
  });
});
