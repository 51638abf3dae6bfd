import { assert } from "@std/assert";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { bundle, cannotBundle } from "../support/bundle.ts";

/** Bytes that the library may take, minified and gzipped. */
const MAX_BYTES = 15 * 1024;

describe("the client library's bundle", { skip: cannotBundle }, () => {
  it("is small, and a browser's has nothing of Node's", () => {
    for (const [entry, platform] of [["mod", "node"], ["browser", "browser"]] as const) {
      const code = bundle(`client/${entry}.ts`, { platform, isMinified: true });
      const { length } = gzipSync(code);
      assert(length <= MAX_BYTES, `${entry}: ${length} bytes`);
      const names = ["node:", "Deno", "Bun", "window", "document", "eval(", "new Function"];
      for (const name of names) {
        const mayHave = platform === "node" && name === "node:";
        assert(mayHave || !code.includes(name), `${entry} has ${name}`);
      }
    }
  });
});
