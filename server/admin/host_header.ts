import { isIP } from "node:net";

/**
 * True if a browser can't have been led here under another name. A page of an attacker may have its own name
 * looked up as 127.0.0.1, and then read what is answered; the browser still sends the attacker's name. So an
 * admin port without keys answers to addresses and to `localhost` only.
 *
 * @param host The request's `Host` header; `undefined` if there is none, as from a program without names.
 */
export function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true;
  const [, bracketed, plain = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{0,5})?$/.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return isIP(plain) === 4 || /^localhost\.?$/i.test(plain);
}
