/**
 * The server's command; see `--help`.
 *
 * @module
 */

// This comes first: loading the rest takes a while, and SIGHUP or SIGUSR2 must not end the process meanwhile.
import "../cli/early_signals.ts";

if (import.meta.main) {
  const { isChild } = await import("../cli/child.ts");
  if (isChild()) await import("./workers/worker.ts");
  else {
    const { runCommand } = await import("../cli/command.ts");
    const { main } = await import("./command/command.ts");
    await runCommand("hotwheels", main);
  }
}
