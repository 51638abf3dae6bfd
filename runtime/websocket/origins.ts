/**
 * Which web pages may connect. A browser sends the page's origin with each handshake; other programs
 * needn't.
 *
 * @module
 */

/** Each character of an origin or a host, as browsers send them. */
const TOKEN = /^[a-z0-9+.:/_~%[\]-]+$/;

/** Rules for origins. Other programs than browsers, which send none, are always allowed. */
export class OriginRules {
  /** In lower case; `undefined` to allow pages of the same host. */
  readonly #allowed: ReadonlySet<string> | undefined;

  /**
   * @param allowed Origins such as `https://example.com`, hosts such as `example.com` or
   * `example.com:8443` for pages of any scheme, `null` for pages without an origin, or `*` for all. Unless
   * given, pages of the host to which they connect are allowed, from any of its ports.
   * @throws {RangeError} if one of them is neither; the message is the wrong one.
   */
  constructor(allowed: readonly string[] | undefined) {
    for (const one of allowed ?? []) if (!isOriginRule(one)) throw new RangeError(one);
    this.#allowed = allowed && new Set(allowed.map((one) => one.toLowerCase()));
  }

  /**
   * True if a page may connect.
   *
   * @param origin The handshake's `Origin`.
   * @param host The handshake's `Host`.
   */
  allows(origin: string | undefined, host: string): boolean {
    if (origin === undefined) return true;
    const page = origin.toLowerCase();
    const pageHost = /^[a-z][a-z0-9+.-]*:\/\/([^/]+)$/.exec(page)?.[1];
    if (this.#allowed !== undefined) {
      return this.#allowed.has("*") || this.#allowed.has(page) ||
        pageHost !== undefined && this.#allowed.has(pageHost);
    }
    return pageHost !== undefined && nameOf(pageHost) === nameOf(host.toLowerCase());
  }
}

/** True if a text can be one of {@linkcode OriginRules}. */
export function isOriginRule(text: string): boolean {
  const rule = text.toLowerCase();
  if (rule === "*" || rule === "null") return true;
  const host = rule.replace(/^[a-z][a-z0-9+.-]*:\/\//, "");
  return TOKEN.test(host) && !host.includes("/") && nameOf(host) !== "";
}

/** A host without its port. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, "");
}
