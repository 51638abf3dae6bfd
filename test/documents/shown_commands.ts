/**
 * The commands that documents and help texts show.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";

/** A command as a reader would copy it. */
export interface ShownCommand {
  /** In one line, without what continues a line and without a comment behind it. */
  readonly text: string;
  /** Which documents show it, from the project's folder, or which task's help. */
  readonly from: readonly string[];
}

/** Folders that hold no document of ours. */
const ELSEWHERE = new Set(["node_modules", "reports", "coverage", ".git"]);

/** The first word of a command that stands in a sentence. */
const PROGRAM = /^(?:npm|npx|deno|bun|bunx|node|sh|sudo|ulimit|openssl|git|systemctl) /;

/** All of them, each once, in the order in which they're shown. */
export function shownCommands(): ShownCommand[] {
  const from = new Map<string, Set<string>>();
  const add = (text: string, where: string) => {
    from.set(text, (from.get(text) ?? new Set()).add(where));
  };
  for (const path of documents()) {
    for (const text of commandsOf(readFileSync(join(PROJECT_ROOT, path), "utf8"))) add(text, path);
  }
  for (const [task, text] of helpTexts()) {
    for (const example of examplesOf(text)) add(example, `${task} --help`);
  }
  return [...from].map(([text, from]) => ({ text, from: [...from] }));
}

function documents(folder = ""): string[] {
  return readdirSync(join(PROJECT_ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ELSEWHERE.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** A document's, in its blocks and in its sentences. */
export function commandsOf(markdown: string): string[] {
  const commands: string[] = [];
  const prose = markdown.replaceAll(/^```(\w*)\n([\s\S]*?)^```$/gm, (_, language, block) => {
    if (language === "sh") commands.push(...linesOf(block));
    else if (language === "console") {
      const typed = block.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm);
      for (const [, script = ""] of typed) commands.push(...linesOf(script));
    }
    return "";
  });
  for (const [, code = ""] of prose.matchAll(/`([^`]+)`/g)) {
    const text = code.replaceAll(/\s+/g, " ");
    if (PROGRAM.test(text)) commands.push(text);
  }
  return commands.flatMap((command) => command.split(" && "));
}

function linesOf(script: string): string[] {
  return script.replaceAll(/\\\n\s*/g, "").split("\n")
    .map((line) => line.replace(/(?:^|\s+)#(?:\s.*|$)/, "").trimEnd())
    .filter((line) => line !== "");
}

/** The help text of each task. */
function helpTexts(): (readonly [string, string])[] {
  const { tasks } = JSON.parse(readFileSync(join(PROJECT_ROOT, "deno.json"), "utf8")) as {
    tasks: Record<string, string>;
  };
  const names = Object.keys(tasks).filter((name) => / run .*\.ts$/.test(tasks[name]!));
  return names.map((name) => {
    const options = { cwd: PROJECT_ROOT, encoding: "utf8" } as const;
    const { status, stdout, stderr } = spawnSync(
      findProgram("deno").path,
      ["task", "-q", name, "--help"],
      options,
    );
    if (status !== 0 || !stdout.includes("Usage")) throw new Error(`${name} --help: ${stderr}`);
    return [name, stdout];
  });
}

function examplesOf(help: string): string[] {
  const [, examples = ""] = help.split(/^Examples:\n/m);
  return linesOf(examples.split("\n\n")[0]!).map((line) => line.trim());
}
