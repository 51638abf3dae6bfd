import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import {
  errorOf,
  JanusClient,
  message,
  publish,
  subscribe,
  type Target,
} from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

const PATIENCE = { timeout: 120_000 };

/** Clients that are disposed of together. */
class Crowd {
  readonly clients: JanusClient[] = [];
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  async greeted(from: string): Promise<JanusClient> {
    const client = new JanusClient(this.#target, { from });
    this.clients.push(client);
    await client.greeting();
    return client;
  }

  /** Comes, and waits for the answer. */
  async knock(from: string): Promise<JanusClient> {
    const client = new JanusClient(this.#target, { from });
    this.clients.push(client);
    client.send("PING\0");
    await until("it has its answer", () => client.frames.length > 0 || client.ended !== null);
    return client;
  }

  come(count: number, from: string): Promise<JanusClient[]> {
    return Promise.all(Array.from({ length: count }, () => this.greeted(from)));
  }

  async dispose(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.dispose()));
  }
}

type CrowdTest = (crowd: Crowd, workers: readonly number[]) => Promise<void>;

function openOf(clients: readonly JanusClient[]): JanusClient[] {
  return clients.filter(({ ended }) => ended === null);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`${runtime}'s workers, when the server is full,`, { skip: skipWorkers }, () => {
    const withCrowd = (flags: readonly string[], body: CrowdTest) =>
      withWorkers(runtime, 2, async (server, target) => {
        const crowd = new Crowd(target);
        try {
          await body(crowd, workersOf(server));
        } finally {
          await crowd.dispose();
        }
      }, flags);
    const places = ["--max-connections", "300", "--max-connections-per-ip", "300"];

    it("take places of addresses that hold most for those that hold little", PATIENCE, async () => {
      await withCrowd(places, async (crowd) => {
        const idle = [...await crowd.come(150, "127.0.0.2"), ...await crowd.come(150, "127.0.0.3")];
        for (let n = 0; n < 40; n++) {
          const client = await crowd.greeted(`127.0.1.${n + 1}`);
          await client.subscribe(`innocent ${n}`);
          client.send(publish(message(`innocent ${n}`)));
          assert((await client.frame()).includes(`innocent ${n}`));
        }
        await until("as many have gone", () => openOf(idle).length === 260);
        for (const { ended, frames } of idle) {
          if (ended !== null) assertEquals(errorOf(frames[0]).code, "too_many_connections");
        }
      });
    });

    it("take places for many that come at once, while one of them hangs", PATIENCE, async () => {
      await withCrowd(places, async (crowd, [victim]) => {
        const most = await crowd.come(300, "127.0.0.2");
        process.kill(victim as number, "SIGSTOP");
        const others = Array.from({ length: 100 }, (_, n) => crowd.greeted(`127.0.1.${n + 1}`));
        // What it holds is waited for, but not for so long.
        await quiet(1_500);
        process.kill(victim as number, "SIGCONT");
        await Promise.all(others);
        await until("as many have gone", () => openOf(most).length === 200);
      });
    });

    it("close no client whose address holds no more than a share", PATIENCE, async () => {
      await withCrowd(places, async (crowd) => {
        const few: JanusClient[] = [];
        for (let n = 0; n < 30; n++) few.push(...await crowd.come(4, `127.0.1.${n + 1}`));
        const many = await crowd.come(180, "127.0.0.2");
        for (let round = 0; round < 8; round++) {
          for (let n = 30; n < 50; n++) await crowd.knock(`127.0.1.${n + 1}`);
        }
        assertEquals(openOf(few).length, 120);
        assert(openOf(many).length <= 140, `${openOf(many).length} still have their places`);
      });
    });

    it("refuse who holds most already", PATIENCE, async () => {
      await withCrowd(places, async (crowd) => {
        const all = [...await crowd.come(180, "127.0.0.2"), ...await crowd.come(120, "127.0.0.3")];
        for (let i = 0; i < 50; i++) {
          const { frames } = await crowd.knock(i % 2 === 0 ? "127.0.0.2" : "127.0.0.3");
          assertEquals(errorOf(frames[0]).message.replace(/All 300 .*taken/, "full"), "full");
        }
        assertEquals(openOf(all).length, 300);
      });
    });

    it("take descriptors too, of which each has its own", PATIENCE, async () => {
      const limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", ...directCommand(runtime)];
      const flags = ["--workers", "2", "--log-level", "error"];
      const server = await ServerCommand.listening(runtime, flags, limited);
      const crowd = new Crowd(server);
      try {
        for (let n = 0; n < 150; n++) {
          await Promise.all([crowd.knock("127.0.0.2"), crowd.knock("127.0.0.3")]);
        }
        const idle = openOf(crowd.clients);
        // Each has 200 less those for itself and its link; the kernel deals unevenly.
        assert(idle.length > 200, `${idle.length} are connected`);
        for (let n = 1; n < 60; n++) await crowd.greeted(`127.0.1.${n}`);
        await until("as many have gone", () => openOf(idle).length < idle.length - 10);
      } finally {
        await crowd.dispose();
        server.signal("SIGTERM");
        await server.exited();
      }
    });

    it("take topics too", PATIENCE, async () => {
      await withCrowd(["--max-topics-total", "2000"], async (crowd) => {
        const idle = await crowd.come(20, "127.0.0.2");
        for (const [i, client] of idle.entries()) {
          client.send(Array.from({ length: 110 }, (_, n) => subscribe(`${i}-${n}`)).join(""));
        }
        await until("one is beyond all topics", () => openOf(idle).length < 20);
        for (let n = 0; n < 20; n++) {
          const client = await crowd.greeted(`127.0.1.${n + 1}`);
          for (let i = 0; i < 20; i++) await client.subscribe(`innocent ${n} ${i}`);
        }
        assert(openOf(idle).length >= 10, `${openOf(idle).length} are left`);
      });
    });
  });
}
