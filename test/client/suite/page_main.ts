/**
 * The suite in a page, or in a worker of one.
 *
 * @module
 */

import { connect } from "../../../client/browser.ts";
import { type Call, runRemotely } from "./remote.ts";

declare global {
  /** The page's way to the bed. */
  var callBed: Call;
  var runCase: (name: string) => Promise<string | undefined>;
}

globalThis.runCase = (name) => {
  return runRemotely(name, "ws", connect, (method, args) => globalThis.callBed(method, args));
};
