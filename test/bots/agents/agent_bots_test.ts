import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { AgentsFleet } from "../../../bots/agents/agents_fleet.ts";
import { parseDialRule } from "../../../bots/agents/dial_rule.ts";
import { until } from "../../support/until.ts";
import { ScriptedServer } from "../run/scripted_server.ts";
import { OPTIONS } from "../run/scripted_run.ts";
import { KEY, runtime, withAgent } from "./agent_in_process.ts";

const PATIENCE = { timeout: 60_000 };
describe("the bots of an agent", () => {
  function start(port: number, server: { host: string; port: number }): Promise<AgentsFleet> {
    const place = { host: "127.0.0.1", port, name: `127.0.0.1:${port}` };
    const leader = { places: [place], key: KEY, tls: null };
    return AgentsFleet.start(runtime, { ...OPTIONS, ...server, n: 3 }, leader);
  }

  it("dial no address outside of --may-dial, whatever its name", PATIENCE, async () => {
    const server = await ScriptedServer.start();
    await withAgent({ rule: parseDialRule("10.0.0.0/8") }, async ({ port }) => {
      for (
        const [host, which] of [
          ["127.0.0.1", /the agent at 127.0.0.1:\d+: 127.0.0.1 is outside of --may-dial/],
          ["localhost", /: localhost is 127.0.0.1.*, and that is outside of --may-dial/],
        ] as const
      ) {
        const error = await assertRejects(() => start(port, { host, port: server.port }));
        assertMatch((error as Error).message, which);
        assertMatch(
          (error as Error).message,
          /allows 10.0.0.0\/8; start the agent with --may-dial 127.0.0.1 to measure a server there/,
        );
      }
      assertEquals(server.connections, 0);
    });
    await withAgent({ rule: parseDialRule("10.0.0.0/8,127.0.0.1") }, async ({ port }) => {
      const fleet = await start(port, { host: "localhost", port: server.port });
      assertEquals(fleet.members[0]!.addresses, ["127.0.0.1"]);
      fleet.abandon();
    });
    await server.stop();
  });

  it("are gone when their leader is, in whichever phase", PATIENCE, async () => {
    const server = await ScriptedServer.start({ onSubscribe() {} });
    await withAgent({}, async ({ port, said }) => {
      const place = { host: "localhost", port: server.port };
      const fleet = await start(port, place);
      const setUp = fleet.setUp(() => {}).catch(() => {});
      await until("the bots connect", () => server.open === 3);
      fleet.abandon();
      await until("the bots are gone", () => server.open === 0);
      await setUp;
      await until("it hears so", () => said.some((line) => line.includes("is gone")));
      (await start(port, place)).abandon();
    });
    await server.stop();
  });
});
