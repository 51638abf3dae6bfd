/**
 * The server's command; see `--help`.
 *
 * @module
 */

import process from "node:process";
import { runCommand } from "../runtime/command.ts";
import { configureLog } from "./log.ts";
import { HELP, parseCommand, type ServerOptions } from "./options.ts";
import { type RunningServer, serve } from "./serve.ts";
import { VERSION } from "./version.ts";

/** A signal counts as the second one only this long after the first: one Ctrl-C may arrive thrice. */
const SECOND_SIGNAL_MS = 500;

if (import.meta.main) await runCommand("hotwheels", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args);
  switch (command.does) {
    case "help":
      console.log(HELP);
      return 0;
    case "version":
      console.log(VERSION);
      return 0;
    case "serve":
      await configureLog(command.options.logLevel);
      return await run(command.options);
  }
}

async function run({ host, port, limits }: ServerOptions): Promise<number> {
  const server = await serve({ hostname: host, port, limits });
  console.log(announcement(server));
  await firstSignal();
  await server.close();
  return 0;
}

function announcement({ address, runtime, limits }: RunningServer): string {
  const where = address.transport === "unix" ? address.path : `${address.hostname}:${address.port}`;
  return `hotwheels listening on ${where} (${runtime.name} ${runtime.version}, pid ${process.pid}, ` +
    `at most ${limits.maxConnections} connections)`;
}

/** Resolves on the first SIGINT or SIGTERM; the second ends the process. */
function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    const onSignal = () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        resolve();
      } else if (nowMs - firstMs >= SECOND_SIGNAL_MS) {
        process.exit(1);
      }
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
