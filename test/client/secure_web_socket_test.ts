import { after, before, describe, it } from "node:test";
import { findProgram } from "../../cli/program.ts";
import { CASES } from "./suite/cases.ts";
import { identityFile } from "../support/identities.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import { cannotRunNode, NodeProgram } from "../support/client/node_suite.ts";
import { RemoteSuite } from "../support/client/remote_suite.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";

/** A process knows the authorities that it trusts from its start on. */
const ENVIRONMENT = { NODE_EXTRA_CA_CERTS: identityFile("first", "crt") };

const MAIN = "test/client/suite/node_main.ts";

for (const runtime of TESTED_RUNTIMES) {
  for (const client of [runtime, "node"] as const) {
    const skip = client === "node" ? cannotRunNode : false;
    describe(`the client on ${client}, over wss, with servers on ${runtime}`, { skip }, () => {
      const bed = new MachineBed(runtime);
      let node: NodeProgram | undefined;
      let suite: RemoteSuite | undefined;
      before(() => {
        if (client === "node") node = new NodeProgram();
        const own = client === "deno"
          ? ["run", "--quiet", "--no-check", "--allow-net", "--allow-env", "--allow-read", MAIN]
          : ["run", MAIN];
        const command = node?.command ?? [findProgram(runtime).path, ...own];
        suite = new RemoteSuite(bed, command, ENVIRONMENT);
      });
      after(async () => {
        await suite?.dispose();
        node?.dispose();
        await bed.dispose();
      });
      for (const { name } of CASES.filter(({ needsTrust }) => needsTrust)) {
        it(name, { timeout: 60_000 }, () => suite!.run(name, "ws"));
      }
    });
  }
}
