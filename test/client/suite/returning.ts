import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ConnectOptions, SubscribedStatus } from "../../../client/exports.ts";
import type { Scripted } from "../../support/client/bed.ts";
import { type Case, data, failure, find, QUICK, sleep } from "./case.ts";

const A = "aaaaaaaaaaaaaaaa";
const B = "bbbbbbbbbbbbbbbb";

/** Two processes' messages, in turns. */
const LOG: readonly Scripted[] = [[A, 10, "ä1"], [B, 5, "2"], [A, 13, "3"]];
const ALL = LOG.map(([, , data]) => data);

/** More bytes than the script's stream has, with a WebSocket's handshake. */
const STREAM_BYTES = { tcp: 630, ws: 810 };

/** Bytes of the scripted server's answer to a WebSocket's handshake. */
const HANDSHAKE_BYTES = 167;

/** Clients at a time. Chromium lets those wait that are many. */
const AT_ONCE = { tcp: 50, ws: 8 };

/** After so many milliseconds a case says what it waits for. On a busy machine workers take long to start. */
const LATE_MS = 50_000;

/** What a client does after a break. */
export const RETURNING: readonly Case[] = [
  {
    name: "goes on where it was after a break, on the same server",
    async run({ bed, connect, url, door, topic }) {
      const server = await bed.plain();
      const proxy = await bed.proxy(server[door]);
      const publisher = await connect(url(server));
      const hotwheels = await connect(url(proxy), QUICK);
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      let next = 0;
      for (let round = 1; round <= 3; round++) {
        await publisher.publish({ topic, data: next++ });
        assertEquals(await data(messages, 1), [next - 1]);
        await bed.disturb(proxy, "close");
        for (let i = 0; i < 5; i++) await publisher.publish({ topic, data: next++ });
        await bed.disturb(proxy, "open");
        const back = await find(statuses, (one): one is SubscribedStatus => {
          return one.state === "subscribed" && one.reason !== "new";
        });
        const { recovered, reason, missed, isGap } = back;
        assertEquals({ recovered, reason, missed, isGap }, {
          recovered: true,
          reason: "ok",
          missed: 5,
          isGap: false,
        });
        const expected = [5, 4, 3, 2, 1].map((back) => next - back);
        assertEquals(await data(messages, 5), expected);
      }
      await hotwheels.close();
      await publisher.close();
    },
  },
  {
    name: "gets each message once, wherever in the server's stream the connection breaks",
    isScripted: true,
    async run({ bed, connect, url, door, topic }) {
      const tryWith = async (cut: number) => {
        const port = await bed.script(door, { log: LOG, cuts: [cut] });
        const hotwheels = await connect(url(port), { retry: { minMs: 0, maxMs: 0 } });
        const messages = hotwheels.subscribe(topic);
        const found = await data(messages, LOG.length);
        assertEquals(found, ALL, `cut after ${cut} bytes`);
        await hotwheels.close();
      };
      const cuts = Array.from({ length: STREAM_BYTES[door] }, (_, i) => i)
        // What a WebSocket's handshake comes to is its platform's business.
        .filter((cut) => door === "tcp" || cut >= HANDSHAKE_BYTES);
      for (let i = 0; i < cuts.length; i += AT_ONCE[door]) {
        await Promise.all(cuts.slice(i, i + AT_ONCE[door]).map(tryWith));
      }
    },
  },
  {
    name: "tells when a server can't go on where it was, by a status and by an error",
    async run({ bed, connect, url, door, topic }) {
      const server = await bed.start(["--drain-seconds", "0"]);
      const proxy = await bed.proxy(server[door]);
      const hotwheels = await connect(url(proxy), QUICK);
      const statuses = hotwheels.statuses();
      const patient = hotwheels.subscribe(topic);
      const strict = hotwheels.subscribe(topic, { onGap: "throw" });
      await hotwheels.publish({ topic, data: "before" });
      await bed.stop(server.id, "SIGTERM");
      const closed = await find(statuses, ({ state }) => state === "closed");
      assert(closed.state === "closed");
      assertMatch(String(closed.why), /server_shutdown/);
      // The server's wish counts, whatever the options say.
      assert(closed.retryInMs! >= 1_000, `${closed.retryInMs}`);
      await bed.aim(proxy, (await bed.restart(server.id))[door]);
      const back = await find(statuses, ({ state }) => state === "subscribed");
      assert(back.state === "subscribed" && back.isGap && !back.recovered);
      assertEquals(back.reason, "unknown_origin");
      await hotwheels.publish({ topic, data: "after" });
      assertEquals(await data(patient, 2), ["before", "after"]);
      assertEquals(await data(strict, 1), ["before"]);
      const gap = await failure(strict.next());
      assertEquals([gap.name, (gap as Error & { reason?: string }).reason], [
        "GapError",
        "unknown_origin",
      ]);
      assertEquals((await strict.next()).done, true);
      await hotwheels.close();
    },
  },
  {
    name: "takes messages that died with a process for a gap",
    isScripted: true,
    async run({ bed, connect, url, door, topic }) {
      const port = await bed.script(door, { log: LOG, crashed: [B], hangsUpOnPublish: true });
      const hotwheels = await connect(url(port), QUICK);
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      assertEquals(await data(messages, LOG.length), ALL);
      await failure(hotwheels.publish({ topic }));
      const gap = await failure(messages.next()) as Error & { crashed?: readonly string[] };
      assertEquals([gap.name, gap.crashed], ["GapError", [B]]);
      await hotwheels.close();
    },
  },
  {
    name: "tells a server without resume apart, and calls each return a gap",
    isScripted: true,
    async run({ bed, connect, url, door, topic }) {
      const port = await bed.script(door, { isOld: true, log: LOG, hangsUpOnPublish: true });
      const hotwheels = await connect(url(port), QUICK);
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic);
      const first = await messages.ready;
      assertEquals([first.recovered, first.reason, first.isGap], [false, "unsupported", false]);
      assertEquals(await data(messages, LOG.length), ALL);
      await find(statuses, ({ state }) => state === "subscribed");
      await failure(hotwheels.publish({ topic }));
      const back = await find(statuses, ({ state }) => state === "subscribed");
      assert(back.state === "subscribed" && back.isGap && !back.recovered);
      assertEquals(await data(messages, LOG.length), ALL);
      await hotwheels.close();
    },
  },
  {
    name: "answers PING, and notices that the other side is gone though nothing says so",
    async run({ bed, connect, url, door }) {
      const pings = await bed.script(door, { pings: true });
      const alive = await connect(url(pings));
      while (!(await bed.heard(pings))[0]!.includes("PONG")) await sleep(5);
      await alive.close();
      const server = await bed.plain();
      const proxy = await bed.proxy(server[door]);
      const hotwheels = await connect(url(proxy), { ...QUICK, pingAfter: 300, timeout: 300 });
      const statuses = hotwheels.statuses();
      await bed.disturb(proxy, "freeze");
      const closed = await find(statuses, ({ state }) => state === "closed");
      assert(closed.state === "closed");
      assertMatch(String(closed.why), /Nothing has come from the server for \d+ ms/);
      await find(statuses, ({ state }) => state === "open");
      await hotwheels.close();
    },
  },
  {
    name: "waits for a server that isn't there yet, and gives up when it is told to",
    async run({ bed, connect, url, door }) {
      const server = await bed.plain();
      const proxy = await bed.proxy(server[door]);
      await bed.disturb(proxy, "close");
      const retry = { minMs: 1, attempts: 2 };
      const gone = await failure(connect(url(proxy), { retry, timeout: 500 }));
      assertEquals(gone.name, "ConnectionError");
      const waiting = connect(url(proxy), QUICK);
      await sleep(100);
      await bed.disturb(proxy, "open");
      const hotwheels = await waiting;
      await hotwheels.close();
      await bed.disturb(proxy, "close");
      const abort = new AbortController();
      const given = failure(connect(url(proxy), { ...QUICK, signal: abort.signal }));
      abort.abort();
      assertEquals((await given).name, "AbortError");
    },
  },
  {
    name: "goes on where it was on whichever worker it comes back to",
    async run({ bed, connect, url, door, topic }) {
      const server = await bed.start(["--workers", "2"]);
      const proxy = await bed.proxy(server[door]);
      const publishers = await Promise.all([1, 2, 3].map(() => connect(url(server))));
      const hotwheels = await connect(url(proxy), QUICK);
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      await find(statuses, ({ state }) => state === "subscribed");
      const publish = async (round: number) => {
        for (const [i, each] of publishers.entries()) {
          await each.publish({ topic, data: `${round} by ${i}` });
        }
      };
      for (let round = 0; round < 6; round++) {
        await publish(round);
        await bed.disturb(proxy, "close");
        await publish(round + 0.5);
        await bed.disturb(proxy, "open");
        const back = await find(statuses, ({ state }) => state === "subscribed");
        assert(back.state === "subscribed" && back.recovered, JSON.stringify(back));
        const expected = [round, round + 0.5].flatMap((r) => [0, 1, 2].map((i) => `${r} by ${i}`));
        assertEquals((await data(messages, 6)).toSorted(), expected.toSorted());
      }
      for (const client of [hotwheels, ...publishers]) await client.close();
    },
  },
  {
    name: "goes on after all workers were killed",
    async run({ bed, connect, url, topic }) {
      const server = await bed.start(["--workers", "2"]);
      const seen: string[] = [];
      const options = (name: string): ConnectOptions => ({
        ...QUICK,
        pingAfter: 2_000,
        onStatus: (status) => {
          const { state, why } = { why: "", ...status };
          seen.push(`${Math.round(performance.now())} ms: ${name} ${state} ${why ?? ""}`);
        },
      });
      const clients = await Promise.all(
        Array.from({ length: 6 }, (_, i) => connect(url(server), options(`${i}`))),
      );
      const all = clients.map((client) => client.subscribe(topic));
      await Promise.all(all.map(({ ready }) => ready));
      const statuses = clients.map((client) => client.statuses());
      await bed.killWorkers(server.id);
      const late = setTimeout(async () => {
        const log = await bed.log(server.id);
        console.error(`${log}\n${seen.slice(-100).join("\n")}`);
      }, LATE_MS);
      await Promise.all(statuses.map((each) => find(each, ({ state }) => state === "subscribed")));
      const publisher = await connect(url(server), options("publisher"));
      const arrived = Promise.all(
        all.map(async (messages) => {
          for await (const { message } of messages) if (message.data === "after") return;
        }),
      );
      let isOver = false;
      arrived.then(() => isOver = true);
      while (!isOver) {
        await publisher.publish({ topic, data: "after" }).catch(() => {});
        await sleep(20);
      }
      clearTimeout(late);
      for (const client of [...clients, publisher]) await client.close();
    },
  },
];
