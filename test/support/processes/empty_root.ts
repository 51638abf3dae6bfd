/**
 * Root folders with nothing in them but what a test puts there, as an image of a container has them. Linux, as
 * root.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

/** The programs of a minimal system: a shell, and what scripts expect beside it. */
const PROGRAMS = "sh awk cat dd dirname env grep head printenv readlink sed tr".split(" ");

/** A command in a namespace of its own: the root is read-only, but for /tmp. */
const ENTER = `set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec /usr/sbin/chroot --userspec="$user" "$root" "$@"`;

/** Why no command can be run in an empty root here; false if one can. */
export function emptyRootProblem(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it takes Linux, as root";
  const probe = spawnSync("unshare", ["--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
  return probe.status === 0 ? false : "it takes mounts, which aren't allowed here";
}

/** A root folder. */
export class EmptyRoot {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "hotwheels-root-")));

  constructor() {
    chmodSync(this.#folder, 0o755);
    for (const name of ["usr/bin", "usr/lib", "usr/lib64", "proc", "dev", "tmp"]) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    for (const name of ["bin", "lib", "lib64"]) {
      symlinkSync(`usr/${name}`, join(this.#folder, name));
    }
    for (const name of PROGRAMS) {
      const { stdout } = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" });
      // A shell may know some of them itself.
      const path = [stdout.trim(), `/usr/bin/${name}`].find((path) => path.startsWith("/"))!;
      this.addProgram(realpathSync(path), `/usr/bin/${name}`);
    }
  }

  /** Puts a program there, with the libraries that it needs. */
  addProgram(path: string, as: string): void {
    this.#copy(path, as);
    const { stdout } = spawnSync("ldd", [path], { encoding: "utf8" });
    for (const [library] of stdout.matchAll(/\/[^\s)]+(?= \(0x)/g)) {
      if (!existsSync(join(this.#folder, library))) this.#copy(library, library);
    }
  }

  /** Puts a folder there. */
  addFolder(path: string, as: string): void {
    cpSync(path, join(this.#folder, as), { recursive: true, verbatimSymlinks: true });
  }

  /** The command that runs a command there, as a user without privileges. */
  command(user: string, command: readonly string[]): string[] {
    return ["unshare", "--mount", "sh", "-c", ENTER, "sh", this.#folder, user, ...command];
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #copy(path: string, as: string): void {
    mkdirSync(dirname(join(this.#folder, as)), { recursive: true });
    copyFileSync(path, join(this.#folder, as));
  }
}
