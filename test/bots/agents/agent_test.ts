import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrame } from "../../../bots/agents/frames.ts";
import { MAX_UNPROVEN_OF_ADDRESS } from "../../../bots/agents/limits.ts";
import { newNonce, proofOf } from "../../../bots/agents/proof.ts";
import type { Job } from "../../../bots/agents/words.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { FIRST } from "../../support/identities.ts";
import { until } from "../../support/until.ts";
import { ScriptedServer } from "../run/scripted_server.ts";
import { KEY, lead, Peer, withAgent } from "./agent_in_process.ts";

const PATIENCE = { timeout: 60_000 };
const JOB: Job = {
  n: 3,
  maxConnecting: 10,
  dialect: "janus",
  host: "127.0.0.1",
  port: 1,
  tls: null,
  keys: [],
  topic: "events",
  data: "test",
  retries: 0,
  processes: "auto",
  spread: "auto",
};

describe("an agent", () => {
  it(
    "lets in who proves the key, and proves it too, over plain TCP and TLS",
    PATIENCE,
    async () => {
      await withAgent({}, async ({ port }) => {
        const agent = await lead(port);
        const [shown] = await Promise.all([assertRejects(() => agent.call("readClocks"))]);
        assert(shown instanceof Error, "a phase without a job");
        agent.end();
      });
      await withAgent({ identity: FIRST }, async ({ port }) => {
        (await lead(port, KEY, { ca: FIRST.cert })).end();
        const error = await assertRejects(() => lead(port, KEY, {}), EnvironmentError);
        assertMatch(error.message, /--agents-ca/);
      });
    },
  );

  it("tells one with another key that it's another, and nothing else", PATIENCE, async () => {
    await withAgent({}, async ({ port, said }) => {
      const error = await assertRejects(() => lead(port, KEY + "x"), EnvironmentError);
      assertMatch(error.message, /has another key: give it and this the same one/);
      const peer = await Peer.greeted(port);
      peer.send(peer.proof("another"));
      assertEquals(await peer.closed(), { refused: "key", hotwheels_agents: 1 });
      assertEquals(said, Array(2).fill("127.0.0.1 doesn't know the key"));
      (await lead(port)).end();
    });
  });

  it("takes no proof twice, nor its own, nor one of another kind", PATIENCE, async () => {
    await withAgent({}, async ({ port, said }) => {
      const first = await Peer.greeted(port);
      const proof = first.proof(KEY);
      first.send(proof);
      await until("the first is let in", () => first.frames.length > 1);
      assertEquals(Object.keys(first.frames[1]!), ["proof"]);
      first.close();
      const own = first.frames[1]!["proof"];
      for (
        const words of [
          // All that was said on another connection.
          proof,
          // The agent's own proof.
          { ...proof, proof: own },
          { ...proof, proof: "" },
          { ...proof, proof: 7 },
          { ...proof, proof: "0".repeat(64) },
          { ...proof, proof: [proof["proof"]] },
        ]
      ) {
        const peer = await Peer.greeted(port);
        peer.send(words);
        assertEquals(await peer.closed(), { refused: "key", hotwheels_agents: 1 });
      }
      // The agent's proof for this connection's numbers, were it known: it is no leader's.
      const mirror = await Peer.greeted(port);
      const nonces = { agent: mirror.nonce, leader: newNonce() };
      mirror.send({
        ...{ hotwheels_agents: 1, nonce: nonces.leader },
        proof: proofOf(KEY, "agent", nonces),
      });
      assertEquals(await mirror.closed(), { refused: "key", hotwheels_agents: 1 });
      assertEquals(said.filter((line) => line.includes("doesn't know")).length, 7);
    });
  });

  it(
    "looks at proofs one second late after ten wrong ones, at right ones too",
    PATIENCE,
    async () => {
      await withAgent({}, async ({ port, said }) => {
        for (let wrong = 0; wrong < 10; wrong++) {
          const peer = await Peer.greeted(port);
          peer.send(peer.proof("guessed"));
          await peer.closed();
        }
        const beganMs = performance.now();
        const peer = await Peer.greeted(port);
        peer.send(peer.proof("guessed again"));
        const [, agent] = await Promise.all([peer.closed(), lead(port)]);
        assert(performance.now() - beganMs >= 990);
        agent.end();
        assertEquals(said.filter((line) => line.includes("doesn't know")).length, 10);
        await until("it's free", () => said.some((line) => line.includes("is gone")));
        // One that doesn't wait for the answer keeps nobody out.
        const hasty = await Peer.greeted(port);
        hasty.send(hasty.proof(KEY));
        await sleep(300);
        hasty.close();
        await sleep(1200);
        (await lead(port)).end();
      });
    },
  );

  it("drops garbage, words out of turn, and frames that are too long", PATIENCE, async () => {
    await withAgent({}, async ({ port }) => {
      const garbage = [
        Buffer.from("GET / HTTP/1.1\r\n\r\n"),
        Uint8Array.of(0xff, 0xff, 0xff, 0xff),
        Uint8Array.of(0, 0, 2, 1),
        encodeFrame([]),
        encodeFrame({}),
        encodeFrame({ nonce: "short", proof: "short" }),
        encodeFrame({ id: 1, call: "prepare", job: JOB }),
      ];
      for (const bytes of garbage) {
        const peer = await Peer.greeted(port);
        peer.write(bytes);
        assertEquals(await peer.closed(), undefined);
      }
      const hasty = await Peer.greeted(port);
      const proof = encodeFrame(hasty.proof(KEY));
      hasty.write(Buffer.concat([proof, proof]));
      await hasty.closed();
      (await lead(port)).end();
    });
  });

  it("gives silent strangers up, and lets others in meanwhile", PATIENCE, async () => {
    await withAgent({ proofPatienceMs: 3000 }, async ({ port }) => {
      const strangers: Peer[] = [];
      for (let count = 0; count < MAX_UNPROVEN_OF_ADDRESS + 3; count++) {
        strangers.push(await Peer.greeted(port));
      }
      await until("the oldest give way", () => strangers.slice(0, 3).every(({ isOver }) => isOver));
      assertEquals(strangers.filter(({ isOver }) => isOver).length, 3);
      (await lead(port)).end();
      await until("all are given up", () => strangers.every(({ isOver }) => isOver));
    });
  });

  it("is busy while it has a leader, and free when that is gone", PATIENCE, async () => {
    await withAgent({}, async ({ port, said }) => {
      const first = await Peer.proven(port);
      const error = await assertRejects(() => lead(port), EnvironmentError);
      assertMatch(error.message, /is busy with another leader's run; wait until that is over/);
      first.close();
      await until("it hears so", () => said.some((line) => line.includes("is gone")));
      (await lead(port)).end();
    });
  });

  it("is free when its leader says nothing any more", PATIENCE, async () => {
    await withAgent({ silenceMs: 1500 }, async ({ port, said }) => {
      const first = await Peer.proven(port);
      await first.closed();
      assertMatch(said.join(), /the leader at 127.0.0.1 is gone: it has said nothing for 1.5 s/);
      (await lead(port)).end();
    });
  });

  it("ends a leader's connection that asks for what there isn't", PATIENCE, async () => {
    const nonsense: object[] = [
      { call: "setUp" },
      { id: 1 },
      { id: 1, call: "exit" },
      { id: 1, call: "abandon" },
      { id: 1, call: "constructor" },
      { id: 1, call: "setUp" },
      { id: 1, call: "prepare" },
      { id: 1, call: "prepare", job: null },
      { id: 1, call: "prepare", job: { ...JOB, tls: undefined, n: undefined } },
    ];
    const jobs: Record<string, unknown> = {
      n: 1_000_001,
      maxConnecting: 257,
      dialect: "toString",
      host: "a b",
      port: 65_536,
      tls: { serverName: 7 },
      keys: [7],
      topic: "",
      data: "x".repeat(4 * 1024 * 1024 + 1),
      retries: -1,
      processes: 257,
      spread: 255,
    };
    for (const [name, value] of Object.entries(jobs)) {
      nonsense.push({ id: 1, call: "prepare", job: { ...JOB, [name]: value } });
    }
    await withAgent({}, async ({ port, said }) => {
      for (const words of nonsense) {
        const peer = await Peer.proven(port);
        peer.send(words);
        await until("the agent closes", () => peer.isOver);
        peer.close();
      }
      assertEquals(said.filter((line) => line.includes("makes no sense")).length, nonsense.length);
      // Each call waits: a hundred of them are too many at once.
      const peer = await Peer.proven(port);
      const server = await ScriptedServer.start({ onConnect() {} });
      peer.send({ id: 0, call: "prepare", job: { ...JOB, port: server.port } });
      await until("the job is taken", () => peer.frames.some(({ id }) => id === 0));
      for (let id = 1; id <= 100; id++) peer.send({ id, call: "received" });
      await until("the agent closes", () => peer.isOver);
      peer.close();
      await server.stop();
      (await lead(port)).end();
    });
  });
});
