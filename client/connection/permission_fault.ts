import { FinalError } from "../api/errors.ts";

/**
 * The error of a connection that the runtime's own sandbox doesn't allow, if that is what its failure means.
 *
 * @param cause The runtime's error.
 */
export function permissionFault(url: string, cause: unknown): FinalError | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { name, message } = cause;
  if (name !== "NotCapable" && !/^Requires net access|^getaddrinfo EPERM/.test(message)) {
    return undefined;
  }
  const remedy = "Start it with the permission to use the network (--allow-net)";
  return new FinalError(`This program may not connect to ${url}`, remedy, { cause });
}
