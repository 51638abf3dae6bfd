/**
 * An agent as a command, from its options to its end.
 *
 * @module
 */

import process from "node:process";
import { endOnSignal } from "../../cli/command.ts";
import { quote } from "../../cli/command_line.ts";
import { complain } from "../../cli/say.ts";
import { isReadByAll, readTextFile } from "../../cli/text_file.ts";
import { addressText } from "../../runtime/transport_error.ts";
import type { Runtime, TlsIdentity } from "../../runtime/types.ts";
import { firstKeyIn } from "../client/keys.ts";
import type { AgentOptions } from "../run/agent_options.ts";
import { Agent } from "./agent.ts";
import { parseDialRule } from "./dial_rule.ts";

/** A shorter key may be guessed by who has seen a proof: 16 random hexadecimal digits are 64 bits. */
const MIN_STRONG_CHARACTERS = 16;

/**
 * Serves leaders until a signal ends the process.
 *
 * @throws {UsageError} (rejects) if the addresses of `--may-dial` are none.
 * @throws {EnvironmentError | TransportError} (rejects) if a file can't be used, or if it can't listen.
 */
export async function serveAsAgent(runtime: Runtime, options: AgentOptions): Promise<never> {
  const { hostname, port, keyFile } = options;
  const rule = parseDialRule(options.mayDial);
  const key = firstKeyIn(keyFile);
  if ([...key].length < MIN_STRONG_CHARACTERS) {
    say(
      `the key in ${quote(keyFile)} may be guessed, being shorter than ${MIN_STRONG_CHARACTERS} ` +
        "characters: make one with openssl rand -hex 32",
    );
  }
  if (isReadByAll(keyFile)) {
    say(`every user of this machine may read the key in ${quote(keyFile)}: chmod o-r that file`);
  }
  const identity = await readIdentity(runtime, options);
  const agent = await Agent.start(runtime, { hostname, port, identity, key, rule, say });
  endOnSignal(() => void agent.close());
  const secure = identity === null ? "" : ", TLS";
  console.log(
    `bots: an agent listens on ${addressText(agent.address)} (${runtime.name} ` +
      `${runtime.version}, pid ${process.pid}${secure}); its bots may dial ${rule.text}`,
  );
  return await new Promise<never>(() => {});
}

async function readIdentity(
  runtime: Runtime,
  { tls }: AgentOptions,
): Promise<TlsIdentity | null> {
  if (tls === null) return null;
  const identity = {
    cert: readTextFile(`--tls-cert ${tls.cert}`, tls.cert),
    key: readTextFile(`--tls-key ${tls.key}`, tls.key),
  };
  await runtime.tryIdentity(identity, `--tls-cert ${tls.cert} with --tls-key ${tls.key}`);
  return identity;
}

function say(line: string): void {
  complain(`bots: ${line}`);
}
