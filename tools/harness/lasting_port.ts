import { createServer } from "node:net";
import { EnvironmentError } from "../../cli/command_line.ts";

/** The system gives out ports from 32,768 on, unless it is told otherwise. */
const LOWEST = 10_000;
const COUNT = 20_000;

const TRIES = 1_000;

/** Those that this process has got. */
const given = new Set<number>();

/**
 * A port on which no process listens, nor will by chance: the system gives it to no process that leaves the
 * choice to it, and connects no client from it. A port that the system chose is free for others while its
 * server is dead.
 *
 * @throws {EnvironmentError} (rejects) if there is none.
 */
export async function lastingPort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = LOWEST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new EnvironmentError(`no port from ${LOWEST} to ${LOWEST + COUNT - 1} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}
