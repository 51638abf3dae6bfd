/**
 * Flags in the environment: `HOTWHEELS_MAX_CONNECTIONS` for `--max-connections`.
 *
 * @module
 */

import process from "node:process";
import { isAllowed, readEnvironment } from "../../runtime/permissions.ts";
import { nearest, type SettingsSource, UsageError } from "../command_line.ts";

const PREFIX = "HOTWHEELS_";

/**
 * The names of all variables with the prefix, separated by commas. Deno lets only a program that may read
 * the whole environment list it, so `launch.sh` does that for the tasks.
 */
const NAMES_VARIABLE = "HOTWHEELS_NAMES";

/** Variables that the project's own scripts set. */
const OWN = ["NOFILE", "FACTS", "NAMES", "RUNTIME", "FLAGS", "NOTIFY"].map((name) => PREFIX + name);

/** Variables that Kubernetes, and Docker's links, set in each container for a service `hotwheels`. */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP)(?:_\w+)?$/;

/** The value of such a variable whose name ends in `_PORT`, one of which has the name of a flag. */
const SERVICE_ADDRESS = /^(?:tcp|udp):\/\//;

/** The values of flags in the environment. An empty variable counts as none. */
export class EnvironmentSettings implements SettingsSource {
  /**
   * @param flags All flags that may be there.
   * @throws {UsageError} if there is a variable with the prefix that stands for no flag.
   */
  constructor(flags: readonly string[]) {
    const known = flags.map(variableOf);
    for (const name of namesInEnvironment()) {
      if ([...known, ...OWN].includes(name) || isServiceLink(name)) continue;
      const near = nearest(name, known);
      const hint = near === undefined ? "--help lists the flags" : `did you mean ${near}?`;
      throw new UsageError(`there is no flag for the variable ${name} of the environment; ${hint}`);
    }
  }

  valueOf(flag: string): string | undefined {
    const variable = variableOf(flag);
    const value = readEnvironment(variable);
    return value === undefined || value === "" || isServiceLink(variable) ? undefined : value;
  }

  nameOf(flag: string): string {
    return variableOf(flag);
  }
}

/** The variable for a flag. */
function variableOf(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll("-", "_");
}

function isServiceLink(name: string): boolean {
  const isAddress = name.endsWith("_PORT") && SERVICE_ADDRESS.test(readEnvironment(name) ?? "");
  return isAddress || SERVICE_LINK.test(name);
}

function namesInEnvironment(): string[] {
  const names = isAllowed({ name: "env" })
    ? Object.keys(process.env)
    : readEnvironment(NAMES_VARIABLE)?.split(",") ?? [];
  return names.filter((name) => name.startsWith(PREFIX));
}
