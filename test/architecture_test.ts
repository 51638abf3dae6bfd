import { assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../cli/program.ts";

/** Files that one room may have, those of its own rooms not counted. */
const MOST_FILES = 16;

/** The rooms of the drawing; they import no others. */
const TOPS = [
  "protocol",
  "client",
  "runtime",
  "cli",
  "host",
  "server",
  "mod.ts",
  "bots",
  "commands",
  "tools",
];

const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^;"]*?"(\.[^"]+\.ts)"|\bimport\(\s*"(\.[^"]+\.ts)"/g;

/**
 * The rooms of docs/design.md's drawing, the lowest first: folders, which end in a slash, and files that
 * stand on a floor of their own.
 */
function readDrawing(): string[] {
  const design = readFileSync(join(PROJECT_ROOT, "docs/design.md"), "utf8");
  const drawing = /## The house\n[^]*?```\n([^]*?)```/.exec(design)?.[1] ?? "";
  const rooms: string[] = [];
  let top = "";
  for (const line of drawing.trimEnd().split("\n")) {
    const [, indent = "", name = ""] = /^( *)(\S+)/.exec(line) ?? [];
    if (indent === "") top = name;
    rooms.push(join(indent === "" ? "" : top, name));
  }
  // A room that is drawn once more, as `./`, has its own files there.
  return rooms.filter((room, at) => !rooms.includes(room, at + 1));
}

function filesOf(top: string): string[] {
  if (top.endsWith(".ts")) return [top];
  const names = readdirSync(join(PROJECT_ROOT, top), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts")).map((name) => join(top, name));
}

/** Each file with the files that it imports. */
function readImports(): Map<string, string[]> {
  const imports = new Map<string, string[]>();
  for (const file of TOPS.flatMap(filesOf)) {
    const text = readFileSync(join(PROJECT_ROOT, file), "utf8");
    const targets = [...text.matchAll(IMPORT)].map(([, static_, dynamic]) => static_ ?? dynamic!);
    imports.set(file, targets.map((target) => join(dirname(file), target)));
  }
  return imports;
}

/** A way from a file back to itself; `undefined` if there is none in the whole graph. */
function findCircle(imports: ReadonlyMap<string, string[]>): string[] | undefined {
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const start = path.indexOf(file);
    if (start !== -1) return [...path.slice(start), file];
    if (finished.has(file)) return undefined;
    path.push(file);
    for (const target of imports.get(file) ?? []) {
      const circle = visit(target);
      if (circle !== undefined) return circle;
    }
    path.pop();
    finished.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

describe("the house that docs/design.md draws", () => {
  const rooms = readDrawing();
  const imports = readImports();
  const roomOf = (file: string): string =>
    rooms.includes(file) ? file : `${dirname(file)}/`.replace(/^\.\/$/, file);

  it("has each file in a room of the drawing", () => {
    const homeless = [...imports.keys()].filter((file) => !rooms.includes(roomOf(file)));
    const say = "put it into a room of docs/design.md's drawing, or draw the new room";
    assertEquals(homeless, [], `${homeless.join(", ")}: ${say}`);
    // A room that has nothing but rooms is drawn above these.
    const empty = rooms.filter((room) =>
      ![...imports.keys()].some((file) => roomOf(file) === room) &&
      !rooms.some((other) => other !== room && other.startsWith(room))
    );
    assertEquals(empty, [], `${empty.join(", ")}: the drawing has it, and no file is there`);
  });

  it("is imported downwards only: from a file's own room, and from rooms above it", () => {
    const wrong: string[] = [];
    for (const [file, targets] of imports) {
      const own = rooms.indexOf(roomOf(file));
      for (const target of targets.filter((one) => rooms.indexOf(roomOf(one)) > own)) {
        wrong.push(`${file} imports ${target}`);
      }
    }
    const say =
      "these rooms stand below in docs/design.md's drawing: let the file name what it needs " +
      "by an interface of its own room, or move what both need into a room above both";
    assertEquals(wrong, [], `${wrong.join("; ")}: ${say}`);
  });

  it("has no files that import each other, by any way round", () => {
    const circle = findCircle(imports) ?? [];
    const say = "move what they share into a file of its own; types count too";
    assertEquals(circle, [], `${circle.join(" imports ")}: ${say}`);
  });

  it("has its server imported by mod.ts only, since tools start it as a process", () => {
    const wrong = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => target.startsWith("server/") && !file.startsWith("server/"))
        .map((target) => `${file} imports ${target}`)
    ).filter((one) => !one.startsWith("mod.ts "));
    assertEquals(wrong, [], `${wrong.join("; ")}: start server/main.ts, or use mod.ts`);
  });

  it("has no room that is too large to be remembered", () => {
    const folders = Map.groupBy(imports.keys(), dirname);
    const large = [...folders].filter(([, files]) => files.length > MOST_FILES)
      .map(([folder, files]) => `${folder}/ has ${files.length} files`);
    assertEquals(
      large,
      [],
      `${large.join("; ")}: give those that belong together a room of their own`,
    );
  });
});
