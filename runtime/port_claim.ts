import process from "node:process";
import { transportErrorCode } from "./transport_error.ts";
import { TransportError } from "./types.ts";

/** Milliseconds to wait for those who claim the same port. It takes them a moment, unless they hang. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 5;

/**
 * Does what it takes to claim a port, while no other process does so for the same one.
 *
 * The kernel lets all sockets of one user listen on a port together that ask to share it, whichever
 * processes they are of. So who claims a port looks first whether anybody listens there, and only then
 * shares it; and nobody must come in between. What is locked is the name of a socket without a file: there
 * is one such name for all users, and all containers, that have the same ports, and it's free again when
 * its process is gone, however it went. Only Linux has them; elsewhere ports aren't shared.
 *
 * @param what Begins the message of an error.
 * @param hold Listens on a socket of that name; what it returns, stops.
 * @throws {TransportError} (rejects) when another process claims the port all the time.
 */
export async function claimPort<Result>(
  { port, what }: { readonly port: number; readonly what: string },
  hold: (path: string) => () => void,
  task: () => Result,
): Promise<Result> {
  let release = () => {};
  const deadlineMs = performance.now() + PATIENCE_MS;
  // A port that the system chooses is nobody else's.
  while (port !== 0 && process.platform === "linux") {
    try {
      release = hold(`\0hotwheels-port-${port}`);
      break;
    } catch (error) {
      // A system that has no such names has no lock.
      if (transportErrorCode(error) !== "address_in_use") break;
      if (performance.now() >= deadlineMs) {
        const why = "another process has been about to listen there for 5 s";
        throw new TransportError("address_in_use", `${what}: ${why}`, { cause: error });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  try {
    return task();
  } finally {
    release();
  }
}
