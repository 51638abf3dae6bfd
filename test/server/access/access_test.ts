import { assert, assertEquals, assertThrows } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import {
  type AccessOptions,
  AccessRules,
  NOTHING,
  PUBLISH,
  SUBSCRIBE,
} from "../../../server/access/access.ts";
import { CidrSet, parseCidr } from "../../../server/access/cidr.ts";
import { parseIp } from "../../../server/access/ip_address.ts";
import { type JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import {
  authenticate,
  delivered,
  errorOf,
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

const OTHER = { from: "127.0.0.2" };
const KEY = "correct horse battery staple é";

function withAccess(access: AccessOptions, test: (bed: JanusBed) => Promise<void>): Promise<void> {
  return withServer({}, test, access);
}

async function assertForbidden(client: JanusClient): Promise<string> {
  const { how, frames } = await client.closed();
  assertEquals(how, "fin");
  assertEquals(frames.length, 1);
  const { code, message } = errorOf(frames[0]);
  assertEquals(code, "forbidden");
  return message;
}

async function assertDelivers(publisher: JanusClient, reader: JanusClient): Promise<void> {
  publisher.send(publish(message("t")));
  assertEquals(unstamp(await reader.frame()).rest, delivered(message("t")));
}

describe("who may publish and subscribe", () => {
  it("is every client by default, with any key or none", async () => {
    await withAccess({}, async (bed) => {
      const reader = await bed.subscribed("t");
      const publisher = await bed.greeted();
      await assertDelivers(publisher, reader);
      publisher.send(authenticate("whatever"));
      assertEquals(await publisher.frame(), "ACK");
      await assertDelivers(publisher, reader);
    });
  });

  it("may depend on the address, for each of the two", { skip }, async () => {
    await withAccess(
      { publishFrom: ["127.0.0.2/32"], subscribeFrom: ["127.0.0.1"] },
      async (bed) => {
        const reader = await bed.subscribed("t");
        const publisher = await bed.greeted(OTHER);
        await assertDelivers(publisher, reader);

        const legacy = await bed.greeted();
        legacy.send(`<regular-socket/>\0PUBLISH\0${message("t", "forbidden")}`);
        assertEquals(await legacy.closed(), { how: "fin", frames: [] });
        const pipelined = await bed.greeted();
        pipelined.send(publish(message("t", "forbidden")));
        assertEquals(await assertForbidden(pipelined), "This client may not publish here");
        const subscriber = await bed.greeted(OTHER);
        subscriber.send(subscribe("t"));
        assertEquals(await assertForbidden(subscriber), "This client may not subscribe here");

        await assertDelivers(publisher, reader);
        assertEquals(bed.server.counters.ended.forbidden, 3);
        assertEquals(bed.server.counters.messagesIn, 2);
        assertEquals(bed.ended.map(({ reason }) => reason), Array(3).fill("forbidden"));
      },
    );
  });

  it("may depend on a key, for each of the two", async () => {
    const access = { publishKeys: [KEY, "another"], subscribeKeys: ["read"] };
    await withAccess(access, async (bed) => {
      const reader = await bed.greeted();
      reader.send(authenticate("read"));
      assertEquals(await reader.frame(), "ACK");
      await reader.subscribe("t");
      for (const key of access.publishKeys) {
        const publisher = await bed.greeted();
        publisher.send(authenticate(key));
        assertEquals(await publisher.frame(), "ACK");
        await assertDelivers(publisher, reader);
        publisher.send(subscribe("t"));
        await assertForbidden(publisher);
      }
      reader.send(authenticate(KEY));
      assertEquals(await reader.frame(), "ACK");
      await assertDelivers(reader, reader);
      for (const early of [publish(message("t")), subscribe("t")]) {
        const client = await bed.greeted();
        client.send(early + authenticate(KEY));
        await assertForbidden(client);
      }
    });
  });

  it("takes the address and the key where both are wanted", { skip }, async () => {
    await withAccess({ publishFrom: ["127.0.0.2"], publishKeys: [KEY] }, async (bed) => {
      const reader = await bed.subscribed("t");
      const wrongAddress = await bed.greeted();
      wrongAddress.send(authenticate(KEY));
      assertEquals(await wrongAddress.frame(), "ACK");
      wrongAddress.send(publish(message("t")));
      await assertForbidden(wrongAddress);
      const noKey = await bed.greeted(OTHER);
      noKey.send(publish(message("t")));
      await assertForbidden(noKey);
      const right = await bed.greeted(OTHER);
      right.send(authenticate(KEY));
      assertEquals(await right.frame(), "ACK");
      await assertDelivers(right, reader);
    });
  });

  it("isn't found out by trying keys, and a right one counts behind wrong ones", {
    skip,
  }, async () => {
    await withServer({ maxWrongKeys: 3 }, async (bed) => {
      const reader = await bed.subscribed("t");
      for (let i = 0; i < 3; i++) {
        const client = await bed.greeted();
        client.send(authenticate(`${KEY}${i}`) + authenticate(KEY));
        assertEquals(await assertForbidden(client), "The key is wrong");
      }
      const startMs = performance.now();
      const elapsedMs = () => performance.now() - startMs;
      const [right, wrong, brief] = await Promise.all([1, 2, 3].map(() => bed.greeted()));
      right!.send(authenticate(KEY) + publish(message("t")));
      wrong!.send(authenticate(`${KEY}4`) + authenticate(KEY));
      brief!.send(authenticate(KEY) + publish(message("t")));
      brief!.end();
      const other = await bed.greeted(OTHER);
      other.send(authenticate(KEY));
      assertEquals(await other.frame(), "ACK");
      assertEquals(right!.frames, []);
      assertEquals(wrong!.ended, null);
      assertEquals(await right!.frame(), "ACK");
      assert(elapsedMs() > 600, `${elapsedMs()} ms`);
      assertEquals(await assertForbidden(wrong!), "The key is wrong");
      assert(elapsedMs() > 600, `${elapsedMs()} ms`);
      assertEquals(await brief!.closed(), { how: "fin", frames: ["ACK"] });
      for (let i = 0; i < 2; i++) {
        assertEquals(unstamp(await reader.frame()).rest, delivered(message("t")));
      }
      assertEquals(bed.server.counters.wrongKeys, 4);
      for (const { detail } of bed.ended) assert(!detail.includes("horse"), detail);
    }, { publishKeys: [KEY] });
  });

  it("stays found by a right key while another of its address guesses all the time", async () => {
    await withServer({ maxWrongKeys: 3 }, async (bed) => {
      let isGuessing = true;
      const guessers = Array.from({ length: 20 }, async (_, guesser) => {
        for (let guess = 0; isGuessing; guess++) {
          const client = await bed.greeted();
          client.send(authenticate(`${guesser} ${guess}`));
          await client.closed();
        }
      });
      try {
        await until("they are slowed", () => bed.server.counters.wrongKeys >= 3);
        for (let i = 0; i < 3; i++) {
          const client = await bed.greeted();
          client.send(authenticate(KEY));
          assertEquals(await client.frame(), "ACK");
        }
      } finally {
        isGuessing = false;
        await Promise.all(guessers);
      }
    }, { publishKeys: [KEY] });
  });
});

describe("rules of access that change", () => {
  it("hold for those who come from then on, unless they can't be rules", async () => {
    await withAccess({ publishKeys: [KEY], subscribeFrom: ["127.0.0.1"] }, async (bed) => {
      const reader = await bed.subscribed("t");
      const publisher = await bed.greeted();
      publisher.send(authenticate(KEY));
      assertEquals(await publisher.frame(), "ACK");
      const waiting = await bed.greeted();
      for (const bad of [{ publishKeys: [""] }, { subscribeFrom: ["127.0.0.1", "x"] }]) {
        assertThrows(() => bed.server.setAccess(bad), RangeError);
      }
      await bed.subscribed("t");
      bed.server.setAccess({ publishKeys: ["another"], subscribeFrom: [] });
      await assertDelivers(publisher, reader);
      const late = await bed.greeted();
      late.send(subscribe("t"));
      await assertForbidden(late);
      waiting.send(authenticate("another"));
      assertEquals(await waiting.frame(), "ACK");
      await assertDelivers(waiting, reader);
    });
  });
});

describe("the rules of access", () => {
  it("know addresses of IPv4 however they're written", () => {
    const rules = new AccessRules({ publishFrom: ["10.0.0.0/8"], subscribeFrom: ["::/0"] });
    assertEquals(rules.withoutKey("10.1.2.3"), PUBLISH | SUBSCRIBE);
    assertEquals(rules.withoutKey("::ffff:10.1.2.3"), PUBLISH | SUBSCRIBE);
    assertEquals(rules.withoutKey("11.1.2.3"), SUBSCRIBE);
    // A peer on a Unix socket has no address.
    assertEquals(rules.withoutKey(""), NOTHING);
  });

  it("know a key only in full", () => {
    const rules = new AccessRules({ publishKeys: [KEY] });
    for (const key of ["", KEY.slice(1), KEY.slice(0, -1), `${KEY} `, KEY.toUpperCase()]) {
      assertEquals(rules.withKey("", key), undefined);
    }
    assertEquals(rules.withKey("", KEY), PUBLISH);
  });

  it("find a key among as many as there are without a look at each", { timeout: 60_000 }, () => {
    const rules = new AccessRules({
      publishKeys: Array.from({ length: 20_000 }, (_, i) => `${KEY}${i}`),
    });
    // A look at each would be 400 million, for which the runner doesn't wait.
    for (let i = 0; i < 20_000; i++) assertEquals(rules.withKey("", `${KEY}${i % 7}`), PUBLISH);
    assertEquals(rules.withKey("", KEY), undefined);
  });

  it("can't be made of what is no address, or no key", () => {
    for (
      const block of ["", "x", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "/8", "1.2.3"]
    ) {
      assertThrows(() => new AccessRules({ publishFrom: [block] }), RangeError);
    }
    assertThrows(() => new AccessRules({ subscribeKeys: [""] }), RangeError);
  });
});

describe("many blocks of addresses", () => {
  it("have what belongs in one of them, and nothing else", () => {
    const blocks = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "192.0.2.0/25", "10.0.0.0/8"];
    const set = new CidrSet(blocks.map(parseCidr));
    for (const ip of ["192.0.2.200", "198.51.100.7", "2001:db8:1::1", "10.9.8.7"]) {
      assertEquals(set.includes(parseIp(ip)!), true, ip);
    }
    for (const ip of ["192.0.3.1", "198.51.100.8", "2001:db9::1", "11.0.0.0", "::1"]) {
      assertEquals(set.includes(parseIp(ip)!), false, ip);
    }
    assertEquals(new CidrSet([]).includes(parseIp("10.0.0.1")!), false);
  });
});

describe("a block of addresses", () => {
  const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["192.0.2.0/24", ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"], ["192.0.3.0", "::1"]],
    ["192.0.2.77/24", ["192.0.2.1"], ["192.0.1.255"]],
    ["192.0.2.1", ["192.0.2.1"], ["192.0.2.0", "192.0.2.2"]],
    ["0.0.0.0/0", ["1.2.3.4", "255.255.255.255"], ["::1", "2001:db8::1"]],
    ["::/0", ["::1", "1.2.3.4"], []],
    ["2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1", "2001:db9::1"]],
    ["::1", ["::1"], ["::2", "0.0.0.1"]],
    ["::ffff:192.0.2.0/120", ["192.0.2.9"], ["192.0.3.9"]],
  ];
  for (const [block, inside, outside] of CASES) {
    it(`${block} has what belongs in it, and nothing else`, () => {
      const cidr = parseCidr(block);
      for (const address of inside) assertEquals(cidr.includes(parseIp(address)!), true, address);
      for (const address of outside) assertEquals(cidr.includes(parseIp(address)!), false, address);
    });
  }
});
