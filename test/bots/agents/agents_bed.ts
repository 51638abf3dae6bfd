/**
 * Agents as processes of their own, and runs that they are led in.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CommandProcess,
  isRunning,
  startCommand,
} from "../../support/processes/command_process.ts";
import { until } from "../../support/until.ts";

/** A process that runs the agent's command. */
export interface AgentProcess {
  readonly command: CommandProcess;
  readonly port: number;
  /** Its address. */
  readonly name: string;
}

/** A folder with keys, and the agents that a test starts. */
export class AgentsBed {
  readonly #folder = mkdtempSync(join(tmpdir(), "hotwheels-agents-"));
  readonly #agents: AgentProcess[] = [];

  constructor() {
    writeFileSync(this.keyFile, "# of these tests\n6f1d2a9e0c3b48577a8e9d0c1b2a3f4e\n", {
      mode: 0o600,
    });
    writeFileSync(this.wrongKeyFile, "another key of 16 letters or more\n", { mode: 0o600 });
  }

  get keyFile(): string {
    return join(this.#folder, "agents.key");
  }

  get wrongKeyFile(): string {
    return join(this.#folder, "wrong.key");
  }

  /** Starts agents, each with its own arguments before the usual ones; they listen. */
  async start(
    flags: readonly (readonly (string | number)[])[],
    script = "bots/main.ts",
  ): Promise<AgentProcess[]> {
    const usual = ["--agent", "127.0.0.1:0", "--key-file", this.keyFile];
    const commands = flags.map((flags) => startCommand(script, [...flags, ...usual]));
    await until(
      "the agents listen",
      () => commands.every(({ stdout }) => stdout.includes("\n")),
      60_000,
    );
    const agents = commands.map((command): AgentProcess => {
      const port = Number(/ listens on 127\.0\.0\.1:(\d+) /.exec(command.stdout)![1]);
      return { command, port, name: `127.0.0.1:${port}` };
    });
    this.#agents.push(...agents);
    return agents;
  }

  /** Starts a run that leads agents. */
  lead(
    agents: readonly AgentProcess[],
    args: readonly (string | number)[],
    keyFile = this.keyFile,
  ): CommandProcess {
    const names = agents.map(({ name }) => name).join(",");
    return startCommand("bots/main.ts", [...args, "--agents", names, "--key-file", keyFile]);
  }

  /** Ends the agents, if they are still there. */
  dispose(): void {
    for (const { command } of this.#agents) {
      if (isRunning(command.pid)) command.signal("SIGKILL");
    }
    rmSync(this.#folder, { recursive: true });
  }
}
