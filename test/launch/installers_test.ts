import { assertEquals, assertMatch } from "@std/assert";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { Checkout, type Installer } from "../support/processes/checkout.ts";
import { Outermost } from "../support/processes/outermost.ts";
import { descendants } from "../support/processes/process_tree.ts";
import { until } from "../support/until.ts";

const timeout = 120_000;

/** Each runtime's run looks at its own installation. */
const runtime = "deno" in process.versions ? "deno" : "bun";
const INSTALLERS: readonly Installer[] = runtime === "deno" ? ["npm", "deno"] : ["bun"];

const skip = process.platform === "win32" ? "needs a POSIX shell" : false;

/** The command that starts a server, by installer. */
const SERVERS: Readonly<Record<Installer, readonly string[]>> = {
  npm: ["npm run serve --", "deno task serve", "bun run server/main.ts"],
  deno: ["npm run serve --", "deno task serve", "deno task -q serve --workers 2"],
  bun: ["npm run serve --", "bun run serve", "bun run server/main.ts --workers 2"],
};

for (const installer of INSTALLERS) {
  describe(`a checkout with ${installer}'s packages`, { skip }, () => {
    let checkout: Checkout;
    before(() => {
      checkout = new Checkout(installer);
    }, { timeout });
    after(() => checkout.dispose());

    it("has nothing more than the packages", () => {
      const ours = readdirSync(checkout.folder).filter((name) => {
        return !existsSync(join(PROJECT_ROOT, name));
      });
      assertEquals(ours, []);
    });

    for (const line of SERVERS[installer]) {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        it(`ends the server of ${line} by a ${signal} to the outermost process`, {
          timeout,
        }, async () => {
          const command = new Outermost(checkout, `exec ${line} --host 127.0.0.1 --port 0`);
          try {
            const { pid } = await command.listening();
            const all = [pid, ...descendants(pid).map((one) => one.pid)];
            command.signal(signal);
            assertEquals(await command.ended, 0, command.said);
            assertEquals(await command.left(all), []);
          } finally {
            command.dispose();
          }
        });
      }
    }

    const demo = installer === "bun" ? "bun run tools/demo/main.ts" : "deno task -q demo";
    it(`plays ${demo} on both runtimes`, { timeout }, async () => {
      const command = new Outermost(checkout, `exec ${demo} 50`);
      try {
        await command.ended;
        // A busy machine's runs are made again.
        const [, deno = "", bun = ""] = command.said.split(/^--- (?:deno|bun) [\d.]+: 50 bots$/m);
        for (const said of [deno, bun]) assertMatch(said, /good: 50, bad: 0/, command.said);
      } finally {
        command.dispose();
      }
    });

    for (const line of [demo, "npm run demo --"]) {
      it(`ends all of ${line} by a SIGTERM in the middle`, { timeout }, async () => {
        const command = new Outermost(checkout, `exec ${line} 5000`);
        try {
          let all: number[] = [];
          await until("there are bots", () => {
            const started = descendants(command.pid);
            all = [command.pid, ...started.map(({ pid }) => pid)];
            return started.some((one) => one.command.includes("bots/main.ts"));
          }, 60_000);
          command.signal("SIGTERM");
          await command.ended;
          assertEquals(await command.left(all), []);
        } finally {
          command.dispose();
        }
      });
    }
  });
}
