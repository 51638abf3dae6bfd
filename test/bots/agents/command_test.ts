import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Socket } from "node:net";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BotsReport } from "../../../bots/results/report.ts";
import { type Ended, startCommand } from "../../support/processes/command_process.ts";
import { identityFile } from "../../support/identities.ts";
import { until } from "../../support/until.ts";
import { REPEATS_TIMEOUT_MS, untilValid } from "../results/valid_run.ts";
import { type Script, ScriptedServer, stamp } from "../run/scripted_server.ts";
import { type AgentProcess, AgentsBed } from "./agents_bed.ts";

const PATIENCE = { timeout: REPEATS_TIMEOUT_MS };

async function withServer(
  script: Script,
  test: (server: ScriptedServer) => Promise<void>,
): Promise<void> {
  const server = await ScriptedServer.start(script);
  try {
    await test(server);
  } finally {
    await server.stop();
  }
}

function sendTo(sockets: readonly Socket[], message: string): void {
  const frame = stamp(message);
  for (const socket of sockets) socket.write(frame);
}

function reportOf({ stdout, stderr }: Ended): BotsReport {
  assert(stdout.startsWith("{"), stderr);
  return JSON.parse(stdout) as BotsReport;
}

describe("bots on several machines", () => {
  const bed = new AgentsBed();
  let shared: Promise<AgentProcess[]> | undefined;
  /** Two that every test may use. In a hook, Bun would give them 5 s to start. */
  const pair = () => shared ??= bed.start([[], []]);
  after(() => bed.dispose());

  it("count what those of one machine count, one by one", PATIENCE, async () => {
    const agents = await pair();
    // The first gets it twice, the second loses its connection, others get more than was published.
    const script: Script = {
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        const another = stamp(message.replace('"test"', '"another"'));
        const extra = [frame, "", '{"half\x01', another];
        subscribers.forEach((socket, at) => {
          if (at === 1) socket.destroy();
          else socket.write(frame + (extra[at] ?? ""));
        });
      },
    };
    const counts = (ended: Ended) => {
      const { n, good, bad, came_back, setup, rounds } = reportOf(ended);
      const { subscribed, given_up } = setup;
      return {
        ...{ n, good, bad, came_back, subscribed, given_up },
        rounds: rounds.map((round) => ({
          ...{ good: round.good, bad: round.bad, missing: round.missing, late: round.late },
          ...{ duplicate: round.duplicate, corrupt: round.corrupt, foreign: round.foreign },
          disconnected: round.disconnected,
        })),
      };
    };
    await withServer(script, async ({ port }) => {
      const args = [41, "127.0.0.1", port, "--json", "-"];
      const alone = counts(await startCommand("bots/main.ts", args).ended);
      assertEquals([alone.good, alone.bad, alone.rounds[0]!.duplicate], [37, 4, 1]);
      const led = await bed.lead(agents, args).ended;
      assertEquals(counts(led), alone);
      const { agents: rows, processes } = reportOf(led);
      assertEquals(rows!.map(({ agent, bots }) => [agent, bots]), [
        [agents[0]!.name, 20],
        [agents[1]!.name, 21],
      ]);
      assertEquals(rows!.reduce((sum, { good }) => sum + good, 0), 37);
      assertEquals(processes.map(({ agent }) => agent), agents.map(({ name }) => name));
      assertEquals(processes.map(({ pid }) => pid), agents.map(({ command }) => command.pid));
    });
  });

  it("wait at one barrier: nothing is published before all are subscribed", PATIENCE, async () => {
    const agents = await pair();
    const published: number[] = [];
    const script: Script = {
      onSubscribe: (socket, number, server) => {
        if (number < 9) server.acknowledge(socket);
        else setTimeout(() => server.acknowledge(socket), 700);
      },
      onPublish({ message, subscribers }) {
        published.push(subscribers.length);
        sendTo(subscribers, message);
      },
    };
    await withServer(script, async ({ port }) => {
      const run = () => bed.lead(agents, [10, `127.0.0.1:${port}`, "--rounds", 2]).ended;
      const { status, stdout, stderr } = await untilValid(run);
      assertEquals([status, stderr], [0, ""]);
      assertMatch(
        stdout,
        /^verdict: under [12] s: the last of 10 bots had each of 2 messages after [\d.]+ ±\s+[\d.]+ ms or less\n/,
      );
      assertMatch(stdout, /\nagent +bots +good +last ms +clock ms +± {2}fit\n/);
      for (const { name } of agents) {
        assertMatch(stdout, new RegExp(`\n${name} +5 +5 +[\\d.]+ +-?[\\d.]+ +[\\d.]+ {2}yes\n`));
      }
      assertEquals(published.every((count) => count === 10), true);
    });
  });

  it("give the times of one machine, though their clocks differ by 200 ms", PATIENCE, async () => {
    const flags = [[100], [-100]];
    const skewed = await bed.start(flags, "test/bots/agents/skewed_agent.ts");
    const LATE_MS = 300;
    const script: Script = {
      onPublish: ({ message, subscribers }) => {
        setTimeout(() => sendTo(subscribers, message), LATE_MS);
      },
    };
    await withServer(script, async ({ port }) => {
      const report = reportOf(await bed.lead(skewed, [20, "127.0.0.1", port, "--json", "-"]).ended);
      assertEquals([report.n, report.good], [20, 20]);
      // The truth is known here: one machine has all clocks. They agree to within some microseconds.
      report.agents!.forEach(({ clocks }, at) => {
        const [{ offset_ms, error_ms } = { offset_ms: NaN, error_ms: NaN }] = clocks;
        const wrongMs = Math.abs(offset_ms - flags[at]![0]!);
        assert(wrongMs <= error_ms + 0.3, `${offset_ms} ± ${error_ms}`);
      });
      const { error_ms, part_of_last, small } = report.clock_error!;
      const [{ end_to_end_ms, latency_ms } = { end_to_end_ms: null, latency_ms: null }] =
        report.rounds;
      // No copy arrives before it is sent, by whichever agent's clock.
      assert(end_to_end_ms!.min >= LATE_MS - 1 - error_ms, `${end_to_end_ms!.min}`);
      assert(latency_ms!.min >= -error_ms - 0.3, `${latency_ms!.min}`);
      const worstMs = Math.max(...report.agents!.map(({ last_ms }) => last_ms!));
      assertEquals(worstMs, end_to_end_ms!.max);
      assertEquals(part_of_last, error_ms / worstMs);
      assertEquals(small, error_ms <= worstMs / 20);
    });
  });

  it("are no measure if one of them is starved, and say so first", PATIENCE, async () => {
    const agents = await pair();
    const [starved] = agents;
    const script: Script = {
      async onPublish({ message, subscribers }) {
        starved!.command.signal("SIGSTOP");
        sendTo(subscribers, message);
        await sleep(400);
        starved!.command.signal("SIGCONT");
      },
    };
    await withServer(script, async ({ port }) => {
      const { status, stdout } = await bed.lead(agents, [20, "127.0.0.1", port]).ended;
      assertEquals(status, 3);
      assertMatch(stdout, /^verdict: INVALID: this run is no measure of the server\n/);
      assertStringIncludes(stdout, `the agent at ${starved!.name}, process `);
      assertMatch(stdout, new RegExp(`\n${starved!.name} .*  NO\n`));
      assertStringIncludes(stdout, "n: 20, good: 20, bad: 0");
    });
  });

  it("make a run void, not smaller, if one of them is killed", PATIENCE, async () => {
    const agents = await pair();
    const [mortal] = await bed.start([[]]);
    const script: Script = { onPublish: () => mortal!.command.signal("SIGKILL") };
    await withServer(script, async ({ port }) => {
      const run = bed.lead([agents[0]!, mortal!], [20, "127.0.0.1", port, "--timeout", "60s"]);
      const { status, stdout, stderr } = await run.ended;
      assertEquals([status, stdout], [1, ""]);
      assertMatch(
        stderr,
        /^bots: INVALID: the agent at [\d.:]+ with 10 of 20 bots is lost: .+; the run is void\n$/,
      );
    });
  });

  it("are one leader's, and free again when it is killed", PATIENCE, async () => {
    const agents = await pair();
    const script: Script = { onPublish() {} };
    await withServer(script, async (server) => {
      const args = [20, "127.0.0.1", server.port];
      const first = bed.lead(agents, [...args, "--timeout", "100s"]);
      await until("all bots are subscribed", () => {
        assertEquals(first.stderr, "");
        return server.subscribed === 20;
      }, 60_000);
      const second = await bed.lead(agents, args).ended;
      assertEquals([second.status, second.stdout], [1, ""]);
      assertMatch(
        second.stderr,
        /^bots: the agent at [\d.:]+ is busy with another leader's run; .*\n$/,
      );
      first.signal("SIGKILL");
      await first.ended;
      await until("all bots are gone", () => server.open === 0);
    });
    await withServer({}, async ({ port }) => {
      const { good } = reportOf(
        await bed.lead(agents, [9, "127.0.0.1", port, "--json", "-"]).ended,
      );
      assertEquals(good, 9);
    });
  });

  it("do nothing for a leader with another key", PATIENCE, async () => {
    const agents = await pair();
    await withServer({}, async (server) => {
      const args = [9, "127.0.0.1", server.port];
      const { status, stdout, stderr } = await bed.lead(agents, args, bed.wrongKeyFile).ended;
      assertEquals([status, stdout], [1, ""]);
      assertMatch(stderr, /^bots: the agent at [\d.:]+ has another key: give .+ the same one\n$/);
      assertEquals(server.connections, 1, "the leader's own look");
    });
  });

  it("dial what they may, by keys and TLS too, in several processes", PATIENCE, async () => {
    const tls = [
      "--tls-cert",
      identityFile("first", "crt"),
      "--tls-key",
      identityFile("first", "key"),
    ];
    const [strict, secure] = await bed.start([["--may-dial", "192.0.2.0/24"], tls]);
    await withServer({}, async (server) => {
      const args = [4, "127.0.0.1", server.port];
      const refused = await bed.lead([strict!], args).ended;
      assertEquals([refused.status, refused.stdout], [1, ""]);
      assertMatch(
        refused.stderr,
        /^bots: the agent at [\d.:]+: 127.0.0.1 is outside of --may-dial, .+ --may-dial 127.0.0.1 .+\n$/,
      );
      const place = { ...secure!, name: `localhost:${secure!.port}` };
      const trust = ["--agents-tls", "--agents-ca", identityFile("first", "crt")];
      const more = ["--processes", 2, "--key", "of the server", "--json", "-"];
      const led = reportOf(await bed.lead([place], [...args, ...trust, ...more]).ended);
      assertEquals([led.good, led.processes.map(({ bots }) => bots)], [4, [2, 2]]);
      assertEquals(server.said.filter((said) => said.includes("of the server")).length >= 4, true);
      assertEquals(led.environment.arguments.includes("of the server"), false);
    });
  });
});
