import { assert, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import { MAX_LINES_PER_SECOND } from "../../../server/log/log.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers } from "../../support/processes/workers.ts";

for (const runtime of TESTED_RUNTIMES) {
  describe(`${runtime}'s workers`, { skip: skipWorkers }, () => {
    it("log no more together about clients than one does", { timeout: 60_000 }, async () => {
      const server = await ServerCommand.listening(runtime, ["--workers", "4"]);
      try {
        const beganMs = performance.now();
        for (let round = 0; round < 3; round++) {
          const crowd = Array.from({ length: 400 }, () => new JanusClient(server));
          for (const client of crowd) client.send("nonsense\0");
          await Promise.all(crowd.map((client) => client.closed()));
        }
        await until(
          "they are summed up",
          () => / and more (within 4 s|in the same second): /.test(server.stderr),
        );
        const seconds = (performance.now() - beganMs) / 1000;
        const closed = server.stderr.split("\n").filter((line) => / closed 127/.test(line));
        assertMatch(closed[0] ?? "", /\[warning\] hotwheels\.worker-\d: closed .*: bad_frame/);
        const most = MAX_LINES_PER_SECOND * (Math.ceil(seconds) + 1);
        assert(closed.length <= most, `${closed.length} lines, ${most} may be`);
        assertMatch(server.stderr, / and more within 4 s: \d+ bad_frame/);
      } finally {
        await server.dispose();
      }
    });
  });
}
