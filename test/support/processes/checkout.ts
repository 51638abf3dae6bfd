/**
 * Fresh copies of this checkout, with the packages as an installer leaves them.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";

/** The README's ways to install the packages. */
export type Installer = "npm" | RuntimeName;

/** Milliseconds for an installation, after which it is made by hand. */
const INSTALL_PATIENCE_MS = 60_000;

const MODULES = join(PROJECT_ROOT, "node_modules");

/** The files of this checkout as they are, in a folder of its own, and nothing else. */
export class Checkout {
  /** The checkout's folder. */
  readonly folder: string;
  /** The user's environment: a home, and on the PATH the program that installed the packages. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True if the installer succeeded. It needs the registry, or a full cache. */
  readonly isInstalled: boolean;
  readonly #scratch: string;

  /** @param installer npm's user has both runtimes; another has the one that installs, and no other. */
  constructor(installer: Installer) {
    this.#scratch = realpathSync(mkdtempSync(join(tmpdir(), "hotwheels-checkout-")));
    this.folder = join(this.#scratch, "hotwheels");
    copyTracked(this.folder);
    const programs = join(this.#scratch, "programs");
    mkdirSync(programs);
    for (const name of ["deno", "bun"] as const) {
      const isHere = installer === "npm" || installer === name;
      if (isHere) symlinkSync(findProgram(name).path, join(programs, name));
    }
    // Node and npm, the shell and its tools; no runtime, wherever there is one.
    const system = (process.env["PATH"] ?? "").split(delimiter)
      .filter((folder) => !["deno", "bun"].some((name) => existsSync(join(folder, name))));
    const { HOME, DENO_DIR } = process.env;
    this.env = {
      PATH: [programs, ...system].join(delimiter),
      HOME,
      NO_COLOR: "1",
      ...(DENO_DIR === undefined ? {} : { DENO_DIR }),
    };
    this.isInstalled = installer !== "npm" && this.#install(join(programs, installer));
    if (!this.isInstalled) layOut(join(this.folder, "node_modules"), installer);
  }

  dispose(): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  #install(program: string): boolean {
    const { folder: cwd, env } = this;
    const options = { cwd, env, timeout: INSTALL_PATIENCE_MS } as const;
    if (spawnSync(program, ["install"], options).status === 0) return true;
    rmSync(join(cwd, "node_modules"), { recursive: true, force: true });
    return false;
  }
}

function copyTracked(folder: string): void {
  const listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { status, stdout } = spawnSync("git", listing, { cwd: PROJECT_ROOT, encoding: "utf8" });
  if (status !== 0) {
    // An unpacked archive has no other files.
    const isOurs = (path: string) => !/\/(node_modules|reports|coverage)$/.test(path);
    return cpSync(PROJECT_ROOT, folder, { recursive: true, filter: isOurs });
  }
  for (const path of stdout.split("\0")) {
    const from = join(PROJECT_ROOT, path);
    // One that is deleted, and not committed yet, is listed too.
    if (path === "" || !existsSync(from)) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    copyFileSync(from, join(folder, path));
    chmodSync(join(folder, path), lstatSync(from).mode);
  }
}

/**
 * Lays the packages out as an installer does. npm runs the scripts that put the runtimes' own programs in
 * their place; Bun runs its own package's, and Deno none.
 */
function layOut(modules: string, installer: Installer): void {
  if (installer === "npm") return symlinkSync(MODULES, modules);
  mkdirSync(join(modules, ".bin"), { recursive: true });
  for (const name of readdirSync(MODULES)) {
    if (["deno", "bun", "@deno", "@oven", ".bin"].includes(name) || name.startsWith(".")) continue;
    symlinkSync(join(MODULES, name), join(modules, name));
  }
  const { platform, arch } = process;
  const deno = `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  layOutPackage(modules, "deno", ["bin.cjs", "install_api.cjs", "package.json"]);
  layOutPackage(modules, deno, ["package.json"]);
  symlinkSync(findProgram("deno").path, join(modules, deno, "deno"));
  symlinkSync("../deno/bin.cjs", join(modules, ".bin", "deno"));

  layOutPackage(modules, "bun", ["package.json"]);
  mkdirSync(join(modules, "bun", "bin"));
  const program = join(modules, "bun", "bin", "bun.exe");
  symlinkSync("../bun/bin/bun.exe", join(modules, ".bin", "bun"));
  if (installer === "bun") return symlinkSync(findProgram("bun").path, program);
  const stub = `echo "Error: Bun's postinstall script was not run." >&2\nexit 1\n`;
  writeFileSync(program, stub, { mode: 0o755 });
  const home = join(modules, `@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}`, "bin");
  mkdirSync(home, { recursive: true });
  symlinkSync(findProgram("bun").path, join(home, "bun"));
}

function layOutPackage(modules: string, name: string, files: readonly string[]): void {
  mkdirSync(join(modules, name), { recursive: true });
  for (const file of files) copyFileSync(join(MODULES, name, file), join(modules, name, file));
}
