/**
 * Which lines have run, of all the processes of a run together.
 *
 * @module
 */

/** The coverage of a file's lines. */
interface Lines {
  /** The number of lines that can run; 0 if it isn't known because all did. */
  total: number;
  /** Those that ran in no process. */
  missed: ReadonlySet<number>;
}

/** The lines of all files that some process has loaded. */
export class LineCoverage {
  readonly #files = new Map<string, Lines>();

  /**
   * Adds what one process, or several, ran of a file.
   *
   * @param path From the project's folder.
   */
  add(path: string, total: number, missed: ReadonlySet<number>): void {
    const known = this.#files.get(path);
    if (known === undefined) return void this.#files.set(path, { total, missed });
    known.total = Math.max(known.total, total);
    known.missed = known.missed.intersection(missed);
  }

  /** Takes over how many lines a file has where that isn't known. */
  takeTotals(from: LineCoverage): void {
    for (const [path, lines] of this.#files) lines.total ||= from.#files.get(path)?.total ?? 0;
  }

  get paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** The part of the files' lines that ran, in per cent; `null` where none was loaded. */
  percentOf(paths: readonly string[]): number | null {
    const files = paths.map((path) => this.#files.get(path)).filter((file) => file !== undefined);
    const total = files.reduce((sum, file) => sum + file.total, 0);
    const missed = files.reduce((sum, file) => sum + file.missed.size, 0);
    return total === 0 ? null : 100 * (1 - missed / total);
  }

  /** The lines of a file that didn't run, such as `3-5,9`. */
  missedOf(path: string): string {
    const lines = [...this.#files.get(path)?.missed ?? []].sort((a, b) => a - b);
    const runs: [number, number][] = [];
    for (const line of lines) {
      const last = runs.at(-1);
      if (last?.[1] === line - 1) last[1] = line;
      else runs.push([line, line]);
    }
    return runs.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",");
  }
}

/** Adds what an LCOV report says. */
export function parseLcov(report: string, root: string, coverage: LineCoverage): void {
  for (const record of report.split("end_of_record")) {
    const path = ownPath(/^SF:(.*)$/m.exec(record)?.[1] ?? "", root);
    if (path === null) continue;
    const lines = [...record.matchAll(/^DA:(\d+),(\d+)/gm)];
    const missed = lines.filter(([, , times]) => times === "0").map(([, line]) => Number(line));
    coverage.add(path, lines.length, new Set(missed));
  }
}

/** Adds what a process of Bun left: `path | % of functions | % of lines | lines missed`, for each file. */
export function parseBunLines(text: string, root: string, coverage: LineCoverage): void {
  for (const line of text.split("\n")) {
    const [file = "", , percent = "", ranges = ""] = line.split("|").map((part) => part.trim());
    const path = ownPath(file, root);
    if (path === null) continue;
    const missed = new Set(ranges.split(",").filter((range) => range !== "").flatMap(linesOf));
    const total = missed.size === 0 ? 0 : Math.round(missed.size / (1 - Number(percent) / 100));
    coverage.add(path, total, missed);
  }
}

function linesOf(range: string): number[] {
  const [from = 0, to = from] = range.split("-").map(Number);
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** A path of the project's own code from its folder; `null` for tests, packages and others. */
function ownPath(path: string, root: string): string | null {
  if (!path.startsWith(`${root}/`)) return null;
  const own = path.slice(root.length + 1);
  return /^(?:test|node_modules)\//.test(own) ? null : own;
}

/** Below this a file of the server's is named. */
const LEAST_PERCENT = 85;

/** The result in two columns, for a terminal. */
export function coverageText(
  { deno, bun }: { readonly deno: LineCoverage; readonly bun: LineCoverage },
): string {
  bun.takeTotals(deno);
  const paths = [...new Set([...deno.paths, ...bun.paths])].sort();
  const figure = (percent: number | null) => (percent?.toFixed(1) ?? "-").padStart(7);
  const row = (name: string, files: readonly string[]) =>
    `${name.padEnd(44)}${figure(deno.percentOf(files))}${figure(bun.percentOf(files))}`;
  const roomOf = (path: string) => path.slice(0, Math.max(path.lastIndexOf("/"), 0)) || ".";
  const rooms = [...new Set(paths.map(roomOf))].sort();
  const inServer = paths.filter((path) => path.startsWith("server/"));
  const low = inServer.filter((path) =>
    [deno, bun].some((coverage) => (coverage.percentOf([path]) ?? 100) < LEAST_PERCENT)
  );
  return [
    `${"lines that ran, in per cent".padEnd(44)}   Deno    Bun`,
    ...rooms.map((room) => row(room, paths.filter((path) => roomOf(path) === room))),
    row("server/, all rooms", inServer),
    `\nfiles of server/ of which less than ${LEAST_PERCENT} % ran: ${low.length}`,
    ...low.flatMap((path) => [
      row(path, [path]),
      `  Deno missed ${deno.missedOf(path) || "none"}`,
      `  Bun missed ${bun.missedOf(path) || "none"}`,
    ]),
  ].join("\n");
}
