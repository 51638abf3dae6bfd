import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { Positions } from "../../support/clients/resuming_client.ts";
import { skipNats } from "../../support/processes/nats_server.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { FalseMachine } from "./false_machine.ts";
import { numbersOf, withMachines } from "./nats_bed.ts";

const timeout = 120_000;

for (const runtime of TESTED_RUNTIMES) {
  describe(`a machine that falls silent in a gap, on ${runtime}`, { skip: skipNats }, () => {
    it(
      "costs others no more than it had, and those that resume are told first",
      { timeout },
      async () => {
        await withMachines(runtime, [[]], async ([a], nats) => {
          const plain = await JanusClient.subscribed(a!.server, "t");
          const positions = new Positions();
          const resuming = await JanusClient.greeted(a!.server);
          resuming.send(positions.subscribe("t"));
          const silent = await FalseMachine.join(nats);
          await silent.state(0);
          await a!.sees(1);
          await silent.publish(1);
          await until(
            "it is there",
            () => plain.frames.length === 1 && resuming.frames.length === 4,
          );
          await silent.publish(3);
          await silent.publish(5);
          await until("those that resume are told", () => resuming.ended !== null, 30_000);
          const frames = resuming.frames.splice(0);
          assertEquals(JSON.parse(frames.pop()!).error.code, "discontinuity");
          const got = frames.map((text) => positions.take(text)).filter(({ what }) =>
            what === "message"
          );
          // What comes from behind the hole would take its position there, as if it had missed nothing.
          assertEquals(got.map((frame) => frame.what === "message" && frame.data), [1]);
          await until("others go on", () => plain.frames.length === 3, 30_000);
          assertEquals([numbersOf(plain), plain.ended], [[1, 3, 5], null]);

          positions.reconnect();
          const again = await JanusClient.greeted(a!.server);
          again.send(positions.subscribe("t"));
          await until("it is answered", () => again.frames.length >= 2);
          const { resume } = JSON.parse(again.frames[0]!);
          assertEquals([resume.recovered, resume.reason], [false, "gap"]);
          for (const client of [plain, again]) client.close();
          await silent.close();
        });
      },
    );
  });
}
