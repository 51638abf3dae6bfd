import process from "node:process";
import { transportErrorCode } from "./transport_error.ts";
import { TransportError } from "./types.ts";

/**
 * Milliseconds to wait while other processes claim the same port. It takes them a moment, unless they
 * hang.
 */
const PATIENCE_MS = 5_000;
const RETRY_MS = 5;

/**
 * Claims a port while no other process claims the same one.
 *
 * The kernel lets all sockets of one user that ask to share a port listen there together, whichever
 * process they belong to. So a claim first checks that no socket listens on the port, and only then
 * shares it; no other claim may come in between. The lock is the name of a socket without a file: such a
 * name is the same for all users and all containers that have the same ports, and it is free again when
 * its process is gone, however it ended. Only Linux has such names; elsewhere ports aren't shared.
 *
 * @param what The beginning of error messages.
 * @param hold Listens on a socket of that name, and returns a function that stops.
 * @throws {TransportError} (rejects) when another process claims the port all the time.
 */
export async function claimPort<Result>(
  { port, what }: { readonly port: number; readonly what: string },
  hold: (path: string) => () => void,
  task: () => Result,
): Promise<Result> {
  let release = () => {};
  const deadlineMs = performance.now() + PATIENCE_MS;
  // A port that the system chooses belongs to no other process.
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
