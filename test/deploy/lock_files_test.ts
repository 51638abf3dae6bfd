import { assert, assertEquals, assertMatch } from "@std/assert";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";

interface LockFile {
  readonly packages: Readonly<
    Record<string, {
      readonly version: string;
      readonly integrity?: string;
      readonly optionalDependencies?: Readonly<Record<string, string>>;
    }>
  >;
}

for (const path of ["package-lock.json", "deploy/ec2/runtimes/package-lock.json"]) {
  describe(path, () => {
    const { packages } = JSON.parse(readFileSync(PROJECT_ROOT + path, "utf8")) as LockFile;

    for (const [place, { integrity }] of Object.entries(packages)) {
      if (place === "") continue;
      it(`has a checksum for ${place.replace(/^.*node_modules\//, "")}`, () => {
        assertMatch(integrity ?? "none", /^sha512-[A-Za-z0-9+/]{86}==$/);
      });
    }

    it("has the version that is asked for of each platform's package", () => {
      for (const { optionalDependencies = {} } of Object.values(packages)) {
        for (const [name, version] of Object.entries(optionalDependencies)) {
          const locked = packages[`node_modules/${name}`];
          assert(locked !== undefined, `${name} isn't locked`);
          assertEquals(locked.version, version, name);
        }
      }
    });
  });
}
