import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { CidrSet, parseCidr } from "./cidr.ts";
import { parseIp } from "./ip_address.ts";

/** Who may publish and who may subscribe. What isn't given is open to everybody. */
export interface AccessOptions {
  /** Addresses that may publish, as `192.0.2.0/24`, `2001:db8::/32` or a single one. */
  readonly publishFrom?: readonly string[];
  /** Addresses that may subscribe. */
  readonly subscribeFrom?: readonly string[];
  /** Keys, one of which a client must authenticate with before it may publish. */
  readonly publishKeys?: readonly string[];
  /** Keys, one of which a client must authenticate with before it may subscribe. */
  readonly subscribeKeys?: readonly string[];
}

/** What a client may do, as bits. */
export type Permissions = number;
export const NOTHING: Permissions = 0;
export const PUBLISH: Permissions = 1;
export const SUBSCRIBE: Permissions = 2;

const HASH_BYTES = 32;

interface Rule {
  readonly permission: Permissions;
  readonly from: CidrSet | undefined;
  readonly keyHashes: ReadonlySet<string> | undefined;
}

/**
 * The rules of who may do what. Where both addresses and keys are given for something, it takes
 * both. Of keys it keeps hashes only.
 *
 * A key is found by its hash, so that it costs the same however many there are. How long that takes tells
 * nothing: the hashes depend on a secret that is drawn anew for each object, so that nobody can choose keys
 * whose hashes come close to another's.
 */
export class AccessRules {
  readonly #rules: readonly Rule[];
  readonly #wantsKeys: boolean;
  readonly #secret = randomBytes(HASH_BYTES);

  /** @throws {RangeError} where an address or a key can't be one. */
  constructor(options: AccessOptions) {
    const { publishFrom, publishKeys, subscribeFrom, subscribeKeys } = options;
    this.#rules = [
      this.#newRule(PUBLISH, publishFrom, publishKeys),
      this.#newRule(SUBSCRIBE, subscribeFrom, subscribeKeys),
    ];
    this.#wantsKeys = this.#rules.some(({ keyHashes }) => keyHashes !== undefined);
  }

  /** What a client may do that hasn't authenticated. */
  withoutKey(address: string): Permissions {
    let permissions = NOTHING;
    for (const rule of this.#rules) {
      if (rule.keyHashes === undefined && includes(rule.from, address)) {
        permissions |= rule.permission;
      }
    }
    return permissions;
  }

  /**
   * What a client may do with a key besides, or `undefined` where it's none of the keys. Where no key is
   * wanted, each is right.
   */
  withKey(address: string, key: string): Permissions | undefined {
    const hash = this.#hashOf(key);
    let isKnown = !this.#wantsKeys;
    let permissions = NOTHING;
    for (const { permission, from, keyHashes } of this.#rules) {
      if (keyHashes === undefined || !keyHashes.has(hash)) continue;
      isKnown = true;
      if (includes(from, address)) permissions |= permission;
    }
    return isKnown ? permissions : undefined;
  }

  #newRule(
    permission: Permissions,
    from: readonly string[] | undefined,
    keys: readonly string[] | undefined,
  ): Rule {
    for (const key of keys ?? []) if (key === "") throw new RangeError("A key can't be empty");
    return {
      permission,
      from: from === undefined ? undefined : new CidrSet(from.map(parseCidr)),
      keyHashes: keys && new Set(keys.map((key) => this.#hashOf(key))),
    };
  }

  #hashOf(key: string): string {
    return createHmac("sha256", this.#secret).update(Buffer.from(key)).digest("hex");
  }
}

function includes(networks: CidrSet | undefined, address: string): boolean {
  if (networks === undefined) return true;
  const number = parseIp(address);
  return number !== undefined && networks.includes(number);
}
