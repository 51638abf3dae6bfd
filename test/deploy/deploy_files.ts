import { assert } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { parseCommand } from "../../server/command/options.ts";

export const FOLDER = join(PROJECT_ROOT, "deploy");

export function read(path: string): string {
  return readFileSync(join(FOLDER, path), "utf8");
}

export const hasPromtool = spawnSync("promtool", ["--version"]).status === 0
  ? false
  : "there is no promtool here";

/** The server's options as these variables set them, but for files, which aren't here. */
export function optionsOf(variables: Readonly<Record<string, string>>) {
  const flags = Object.entries(variables).filter(([name]) => name.startsWith("HOTWHEELS_"))
    .flatMap(([name, value]) => {
      const flag = name.slice("HOTWHEELS_".length).toLowerCase().replaceAll("_", "-");
      return flag === "runtime" ? [] : [`--${flag}`, value];
    });
  const command = parseCommand(flags);
  assert("options" in command);
  return command.options;
}
