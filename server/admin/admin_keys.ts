import { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { siteOf } from "../access/ip_address.ts";
import {
  COOKIE_SECONDS,
  MAX_GUESSING_ADDRESSES,
  MAX_SLOW_ADMIN_KEYS,
  MAX_WRONG_ADMIN_KEYS,
  SLOW_ADMIN_KEY_MS,
} from "./limits.ts";

/** Milliseconds after which wrong keys are forgotten. */
const MINUTE_MS = 60_000;

const COOKIE_PURPOSE = "hotwheels admin cookie";

/** The keys and cookies in a request. */
export interface Credentials {
  /** The `Authorization` header, as it came. */
  readonly authorization: string | undefined;
  /** The `Cookie` header, as it came. */
  readonly cookies: string | undefined;
  /** The value of `key` in the address. */
  readonly queryKey: string | undefined;
}

/**
 * - `allowed`: a key or a cookie is right.
 * - `allowed_by_query`: the key in the address is right; the browser should get a cookie in its place.
 * - `missing`: nothing was shown.
 * - `wrong`: nothing that was shown is right.
 * - `too_many`: neither, and the address has shown too many wrong keys; it should wait.
 */
export type Verdict = "allowed" | "allowed_by_query" | "missing" | "wrong" | "too_many";

/** One key, as it is compared. */
interface KnownKey {
  readonly digest: Uint8Array;
  /** The digest of the cookie that a browser gets for it. */
  readonly cookieDigest: Uint8Array;
  readonly cookie: string;
}

/** The keys of an admin port, and the attempts to guess one. */
export class AdminKeys {
  #cookieName = "hotwheels_admin";
  #keys: readonly KnownKey[] = [];
  /** The times of the last wrong keys by address, the address that was wrong last behind the others. */
  readonly #wrong = new Map<string, number[]>();
  #waiting = 0;

  constructor(keys: readonly string[]) {
    this.set(keys);
  }

  /** Gives the cookie a name that no other admin port on this host uses: cookies hold for all ports. */
  nameCookie(name: string): void {
    this.#cookieName = name;
  }

  /** Uses other keys from now on. Cookies of keys that are gone aren't right any more. */
  set(keys: readonly string[]): void {
    this.#keys = keys.map((key) => {
      const cookie = createHmac("sha256", key).update(COOKIE_PURPOSE).digest("base64url");
      return { digest: digestOf(key), cookie, cookieDigest: digestOf(cookie) };
    });
  }

  /** Looks at what a request from an address shows. */
  async check(address: string, shown: Credentials): Promise<Verdict> {
    const bearer = bearerOf(shown.authorization);
    const key = bearer ?? shown.queryKey;
    const cookie = cookieOf(shown.cookies, this.#cookieName);
    if (key === undefined && cookie === undefined) return "missing";
    const site = siteOf(address);
    const isGuessing = this.#recentlyWrong(site).length >= MAX_WRONG_ADMIN_KEYS;
    if (isGuessing && !await this.#wait()) return "too_many";
    // Both are always compared, so that the time taken tells nothing.
    const isKey = this.#find("digest", key) !== undefined;
    const isCookie = this.#find("cookieDigest", cookie) !== undefined;
    if (isKey) return bearer === undefined ? "allowed_by_query" : "allowed";
    if (isCookie) return "allowed";
    this.#noteWrong(site);
    return isGuessing ? "too_many" : "wrong";
  }

  /** The `Set-Cookie` header for a browser that has shown a right key. */
  cookieFor(key: string): string {
    const { cookie } = this.#find("digest", key)!;
    return `${this.#cookieName}=${cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${COOKIE_SECONDS}`;
  }

  /** Compares with every key, in a time that doesn't depend on which is right. */
  #find(what: "digest" | "cookieDigest", shown: Uint8Array | string | undefined) {
    const digest = digestOf(shown ?? "");
    let found: KnownKey | undefined;
    for (const known of this.#keys) if (timingSafeEqual(known[what], digest)) found = known;
    return found;
  }

  /** Waits for the turn of an address that guesses; false if too many wait. */
  async #wait(): Promise<boolean> {
    if (this.#waiting >= MAX_SLOW_ADMIN_KEYS) return false;
    this.#waiting++;
    await sleep(SLOW_ADMIN_KEY_MS);
    this.#waiting--;
    return true;
  }

  #recentlyWrong(site: string): number[] {
    const sinceMs = performance.now() - MINUTE_MS;
    return (this.#wrong.get(site) ?? []).filter((atMs) => atMs > sinceMs);
  }

  #noteWrong(site: string): void {
    const times = this.#recentlyWrong(site).slice(1 - MAX_WRONG_ADMIN_KEYS);
    times.push(performance.now());
    this.#wrong.delete(site);
    this.#wrong.set(site, times);
    if (this.#wrong.size <= MAX_GUESSING_ADDRESSES) return;
    const [oldest] = this.#wrong.keys();
    this.#wrong.delete(oldest!);
  }
}

function digestOf(text: Uint8Array | string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** The bytes of the key in an `Authorization` header, which arrives as Latin-1. */
function bearerOf(authorization: string | undefined): Uint8Array | undefined {
  const [, key] = /^Bearer +(.+?) *$/i.exec(authorization ?? "") ?? [];
  return key === undefined ? undefined : Buffer.from(key, "latin1");
}

function cookieOf(cookies: string | undefined, name: string): string | undefined {
  for (const one of cookies?.split(";") ?? []) {
    const [key, value] = one.trim().split("=", 2);
    if (key === name) return value;
  }
  return undefined;
}
