/**
 * The server's command; see `--help`.
 *
 * @module
 */

// First, and the rest only then: loading it takes a while, and no signal that asks for something must end
// the process in it.
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
