/**
 * The files of the test suite, and what each of them needs.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { PROJECT_ROOT, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { quote, UsageError } from "../../cli/command_line.ts";

/** A file of tests. */
export interface TestFile {
  /** Its path from the project's folder. */
  readonly path: string;
  /** True if it, or a helper that it imports, starts a process or listens on a socket. */
  readonly startsServers: boolean;
  /** True if it needs no server, and waits for time to pass more than it works. */
  readonly waits: boolean;
  /** True if it tries very many random cases. */
  readonly isFuzz: boolean;
  /** True if it loads the machine by itself, or if such a load would spoil its measurements. */
  readonly isHeavy: boolean;
  /** The runtimes that run it: one suffices where the test's own has no part in what it proves. */
  readonly runtimes: readonly RuntimeName[];
}

const TEST_FILE = /_test\.ts$/;

const IMPORT = /\bfrom "(\.[^"]+)"/g;

/** A module that says so starts processes, or takes the runtime's own sockets. */
const STARTS_SERVERS = /\bfrom "node:child_process"|\bcreateServer\b|\/runtime\/detect\.ts"/;

/** A test that says so waits. */
const WAITS = /\b(?:quiet|until|sleep|setTimeout)\(/;

/** Random cases or samples by the thousand. */
const FUZZ = /^test\/(?:fuzz\/|tools\/compare\/results\/(?:bootstrap|verdict)_)/;

/** Floods, soaks and measurements of time. */
const HEAVY = new RegExp(
  "^test/(?:attacks/|tools/(?:soak/command|churn/churn)_|server/(?:flow/(?:bursts|slow_consumers)|session/churn_heap|workers/resume_workers|machines/(?:nats/nats|rolling))_)",
);

/**
 * They try shell scripts, Deno's sandbox, or one runtime's program, by processes of their own; or what a
 * client on Node has a part in, whichever runtime its server is on: by TCP on Deno, by WebSocket on Bun.
 */
const ONCE = new RegExp(
  "^test/(?:launch/(?:named_files|sandbox|package)_|server/access/permissions_|deploy/runbook_|runtime/bundled_|client/node_test|bench/bench_report_)",
);

/** They compute much, and reach no runtime's adapter, for which Bun takes less time; or the other of the two. */
const ONCE_ON_BUN = new RegExp(
  "^test/(?:tools/compare/(?:results/|pages/)?(?:bootstrap|verdict|report|pages)_|server/flow/fairness_|client/node_web_socket_|runtime/conformance/memory_)",
);

/**
 * The test files under some paths: the heavy ones first, then those that start servers, then those that
 * wait, since the last to end should be short.
 *
 * @param paths Files and folders, from the project's folder.
 * @throws {UsageError} if there is no test under one of them.
 */
export function findTestFiles(paths: readonly string[]): TestFile[] {
  const files = [...new Set(paths.flatMap(testFilesIn))].map(read);
  const rank = ({ isHeavy, isFuzz, startsServers, waits }: TestFile) =>
    isHeavy ? 0 : startsServers || isFuzz ? 1 : waits ? 2 : 3;
  return files.sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
}

function testFilesIn(path: string): string[] {
  const place = join(PROJECT_ROOT, path);
  if (!existsSync(place)) throw new UsageError(`there is no file or folder ${quote(path)}`);
  if (!statSync(place).isDirectory()) return [path];
  const names = readdirSync(place, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => TEST_FILE.test(name)).map((name) => join(path, name));
  if (files.length === 0) throw new UsageError(`there are no tests in ${quote(path)}`);
  return files;
}

function read(path: string): TestFile {
  const needsServer = startsServers(path, new Set());
  return {
    path,
    startsServers: needsServer,
    waits: !needsServer && WAITS.test(readFileSync(join(PROJECT_ROOT, path), "utf8")),
    isFuzz: FUZZ.test(path),
    isHeavy: HEAVY.test(path),
    runtimes: ONCE.test(path) ? ["deno"] : ONCE_ON_BUN.test(path) ? ["bun"] : RUNTIME_NAMES,
  };
}

function startsServers(path: string, seen: Set<string>): boolean {
  if (seen.has(path) || !path.startsWith("test/")) return false;
  seen.add(path);
  const file = join(PROJECT_ROOT, path);
  // The run says best that a module is missing.
  if (!existsSync(file)) return false;
  const text = readFileSync(file, "utf8");
  if (STARTS_SERVERS.test(text)) return true;
  return [...text.matchAll(IMPORT)]
    .some(([, imported = ""]) => startsServers(normalize(join(dirname(path), imported)), seen));
}

/** A path of the user's, from the project's folder. */
export function fromRoot(path: string): string {
  return relative(PROJECT_ROOT, path);
}
