import { existsSync } from "node:fs";
import { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { leftTo } from "./tested_runtimes.ts";

const PROGRAM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => existsSync(path));

/**
 * The reason why tests with Chromium are skipped; `false` if they aren't. playwright-core reads files that Deno's
 * tests may not read.
 */
export const skipChromium: string | false = PROGRAM === undefined
  ? "there is no Chromium here"
  : leftTo("bun");

/** Starts the Chromium that is installed. */
export async function launchChromium(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  return await chromium.launch({ executablePath: PROGRAM!, args: ["--no-sandbox"] });
}

/** Starts one browser for all tests of a `describe`, and closes it behind them. @returns It, once they run. */
export function sharedChromium(): () => Browser {
  let browser: Browser | undefined;
  before(async () => browser = await launchChromium(), { timeout: 60_000 });
  after(() => browser?.close(), { timeout: 30_000 });
  return () => browser!;
}
