/**
 * The server's command; see `--help`.
 *
 * @module
 */

// First, and the rest only then: loading it takes a while, and no signal that asks for something must end
// the process in it.
import "./early_signals.ts";

if (import.meta.main) {
  const { isChild } = await import("../runtime/child.ts");
  if (isChild()) await import("./worker.ts");
  else {
    const { runCommand } = await import("../runtime/command.ts");
    const { main } = await import("./command.ts");
    await runCommand("hotwheels", main);
  }
}
