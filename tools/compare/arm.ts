/**
 * The arms of a comparison: the servers that are compared.
 *
 * @module
 */

import { quote, UsageError } from "../../cli/command_line.ts";
import { DEFAULT_PORTS, type DialectName } from "../../bots/dialects/dialects.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { parseHostAndPort, parseServerUrl } from "../../bots/run/server_address.ts";

/** This checkout's server, which is started for each run. */
export interface StartedArm {
  readonly name: string;
  readonly dialect: "janus";
  readonly runtime: RuntimeName;
}

/** A server that already runs. */
export interface RunningArm {
  readonly name: string;
  readonly dialect: DialectName;
  readonly runtime: null;
  readonly host: string;
  readonly port: number;
}

export type Arm = StartedArm | RunningArm;

/** The arms without `--target`. */
export const DEFAULT_ARMS: readonly Arm[] = [
  { name: "Deno", dialect: "janus", runtime: "deno" },
  { name: "Bun", dialect: "janus", runtime: "bun" },
];

/** The most arms: pictures have so many colours. */
const MAX_ARMS = 6;

/** Names become parts of file names. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/;

/**
 * Reads the values of `--target`.
 *
 * @throws {UsageError} if one isn't as the help describes it, or if there are fewer than two.
 */
export function parseArms(targets: readonly string[]): readonly Arm[] {
  if (targets.length === 0) return DEFAULT_ARMS;
  const arms = targets.map(parseArm);
  const names = arms.map(({ name }) => name.toLowerCase());
  const repeated = arms.find(({ name }, at) => names.indexOf(name.toLowerCase()) !== at);
  if (repeated !== undefined) {
    throw new UsageError(`two targets are called ${quote(repeated.name)}; give each its own name`);
  }
  if (arms.length < 2) {
    throw new UsageError(
      `it takes two to compare; give --target another time, such as --target Bun=bun`,
    );
  }
  if (arms.length > MAX_ARMS) {
    throw new UsageError(
      `${arms.length} targets are more than the ${MAX_ARMS} that can be compared`,
    );
  }
  return arms;
}

function parseArm(target: string): Arm {
  const [, name = "", where = ""] = /^([^=]*)=(.+)$/.exec(target) ?? [];
  if (!NAME.test(name)) {
    throw new UsageError(
      `--target is NAME=SERVER, such as old=10.0.0.7:8081, nats=nats://10.0.0.7:4222 or Bun=bun, ` +
        `and NAME takes letters, digits, ".", "_" and "-"; not ${quote(target)}`,
    );
  }
  const runtime = RUNTIME_NAMES.find((runtime) => runtime === where);
  if (runtime !== undefined) return { name, dialect: "janus", runtime };
  const { dialect, host, port } = where.includes("://")
    ? parseServerUrl(where)
    : { dialect: "janus", ...parseHostAndPort(where) } as const;
  return { name, dialect, runtime: null, host, port: port ?? DEFAULT_PORTS[dialect] };
}
