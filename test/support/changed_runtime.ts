import type { Runtime } from "../../runtime/types.ts";

/** A runtime that does some things in another way. */
export function changedRuntime(runtime: Runtime, changes: Partial<Runtime>): Runtime {
  return {
    name: runtime.name,
    version: runtime.version,
    writesPerTurn: runtime.writesPerTurn,
    residentBytes: runtime.residentBytes,
    giveBack: () => runtime.giveBack(),
    tryIdentity: (identity, what) => runtime.tryIdentity(identity, what),
    soon: (task) => runtime.soon(task),
    nextTurn: (task) => runtime.nextTurn(task),
    afterTurn: (isBusy, task) => runtime.afterTurn(isBusy, task),
    connect: (options, accept) => runtime.connect(options, accept),
    listen: (options, accept) => runtime.listen(options, accept),
    ...changes,
  };
}
