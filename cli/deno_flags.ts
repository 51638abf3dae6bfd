/**
 * The flags with which Deno runs this project, without the permissions, which each process names.
 *
 * @module
 */

/** Runs a script, asks nothing, and can share a port between processes (`--unstable-net`). */
export const RUN_FLAGS = ["run", "--quiet", "--no-prompt", "--unstable-net"] as const;

/**
 * Memory flags for processes of the server, as in the task `serve`. What a pass allocates is garbage at
 * once, so a young generation of 2 MiB does as well as one that grows freely, and an idle subscriber
 * costs a quarter less.
 */
export const SERVER_MEMORY_FLAGS = "--v8-flags=--max-semi-space-size=2";

/**
 * Variables of the environment for a child process on Deno, as in the task `serve`. glibc gives each thread a
 * heap of its own, which keeps what the thread has freed from the others; with one for all threads an idle
 * subscriber costs 5 to 10 % less. Other C libraries ignore it.
 */
export const MEMORY_VARIABLES = { MALLOC_ARENA_MAX: "1" } as const;

/**
 * Memory flags for processes of bots. The large young generation keeps garbage collections out of the
 * measured time.
 */
export const BOTS_MEMORY_FLAGS =
  "--v8-flags=--expose-gc,--min-semi-space-size=64,--max-semi-space-size=64";
