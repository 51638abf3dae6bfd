import { type RuntimeName } from "../../../cli/program.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";

/** Runs a test with a server of its own. */
export type WithServer = (
  flags: readonly string[],
  test: (server: ServerCommand) => Promise<void>,
) => Promise<void>;

/** Runs a test with a server on that runtime, and ends the server. */
export async function withCommand(
  runtime: RuntimeName,
  flags: readonly string[],
  test: (server: ServerCommand) => Promise<void>,
): Promise<void> {
  const server = await ServerCommand.listening(runtime, flags);
  try {
    await test(server);
  } finally {
    await server.dispose();
  }
}
