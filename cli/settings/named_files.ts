/**
 * A command of `launch.sh`: prints what a file of settings says that decides about a program's permissions,
 * a line each, such as `tls-key=/etc/hotwheels/server.key`. It says nothing about mistakes in the file: the
 * program that is started then does.
 *
 *   named_files.ts FILE FLAG,...      the flags name files; `workers` comes too
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { parseObject } from "./file.ts";

if (import.meta.main) {
  const [path = "", flags = ""] = process.argv.slice(2);
  try {
    const values = Object.entries(parseObject(readFileSync(path, "utf8"), path));
    for (const [flag, value] of values) {
      if (flag === "workers") console.log(`${flag}=${value}`);
      if (flags.split(",").includes(flag) && typeof value === "string") {
        console.log(`${flag}=${resolve(dirname(path), value)}`);
      }
    }
  } catch {
    process.exitCode = 1;
  }
}
