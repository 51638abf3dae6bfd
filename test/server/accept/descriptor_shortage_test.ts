import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { limitDescriptors } from "../../../tools/soak/strikes/descriptor_limit.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet } from "../../support/until.ts";
import { skipWorkers } from "../../support/processes/workers.ts";

const runtime = TESTED_RUNTIMES[0] as RuntimeName;

const DESCRIPTORS = 300;

describe(
  `a server on ${runtime} that lacks descriptors for a moment`,
  { skip: skipWorkers },
  () => {
    it("ends no client for that, and takes those who come as soon as there are some", {
      timeout: 60_000,
    }, async () => {
      const limited = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$@"`, "sh"];
      const server = await ServerCommand.listening(runtime, ["--log-level", "warning"], [
        ...limited,
        ...directCommand(runtime),
      ]);
      try {
        // Of one address, which holds by far the most.
        const subscribed = await Promise.all(Array.from({ length: 80 }, async () => {
          const client = await JanusClient.greeted(server, { from: "127.0.0.2" });
          await client.subscribe("t");
          return client;
        }));
        await limitDescriptors(server.pid, 3);
        const first = await JanusClient.open(server, { from: "127.0.1.1" });
        await quiet(500);
        await limitDescriptors(server.pid, DESCRIPTORS);
        assertMatch(await first.frame(), /token/);
        const others: JanusClient[] = [];
        for (let n = 2; n < 60; n++) {
          others.push(await JanusClient.greeted(server, { from: `127.0.1.${n}` }));
        }
        assertEquals(subscribed.filter(({ ended }) => ended !== null).length, 0);
        for (const client of [first, ...others, ...subscribed]) await client.dispose();
      } finally {
        await server.dispose();
      }
    });
  },
);
