import process from "node:process";
import { EnvironmentError } from "../../cli/command_line.ts";
import { readEnvironment } from "../../runtime/permissions.ts";
import type { CommandOptions } from "./options.ts";

/** The first descriptor that systemd passes; see sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3;

/**
 * The descriptor of the listening socket that the service manager passes to this process, as systemd does for a
 * unit with a `.socket`; `undefined` if it passes none.
 *
 * @throws {EnvironmentError} if the server can't serve on what is passed.
 */
export function passedSocket(
  { workers, tls }: Pick<CommandOptions, "workers" | "tls">,
): number | undefined {
  const count = Number(readEnvironment("LISTEN_FDS") || 0);
  if (!(count >= 1) || Number(readEnvironment("LISTEN_PID")) !== process.pid) return undefined;
  const what = `the service manager passes ${count === 1 ? "a socket" : `${count} sockets`}`;
  if (count > 1) throw new EnvironmentError(`${what}, and the server serves on one`);
  if (workers > 1) {
    throw new EnvironmentError(
      `${what}, which ${workers} workers can't share: start one, or leave the unit's .socket out`,
    );
  }
  if (tls !== undefined) {
    throw new EnvironmentError(
      `${what}, on which there is no TLS: leave the unit's .socket out`,
    );
  }
  return FIRST_DESCRIPTOR;
}
