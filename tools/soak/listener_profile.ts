/**
 * The ways in which a soaked server admits its clients.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { TlsTrust } from "../../runtime/types.ts";
import { IDENTITIES, TRUST } from "./clients/identities.ts";
import type { Keys } from "./clients/healthy_client.ts";

/**
 * `open`: plain TCP; every client may publish and subscribe. `locked`: TLS, with one key for publishing
 * and one for subscribing. `tight`: as `open`, but with so little memory for pending bytes that attacks
 * can fill it in a second.
 */
export const PROFILE_NAMES = ["open", "locked", "tight"] as const;
export type ProfileName = typeof PROFILE_NAMES[number];

/** The flags, keys and certificates of one profile. */
export interface ListenerProfile {
  readonly name: ProfileName;
  /** The server's flags. */
  readonly flags: readonly string[];
  readonly keys: Keys | null;
  /** The certificates that clients accept; `null` without TLS. */
  readonly trust: TlsTrust | null;
  /** The file that has them; `null` as above. */
  readonly caFile: string | null;
  /** Installs the other of two certificates; `null` without TLS. */
  readonly changeIdentity: (() => void) | null;
  /**
   * Installs an unusable certificate: in turn the other certificate without its key, and a text that is
   * no certificate. `null` without TLS.
   *
   * @returns a function that installs the previous certificate again.
   */
  readonly spoilIdentity: (() => () => void) | null;
  /** Removes the profile's files. */
  dispose(): void;
}

/** Makes a profile and its files. */
export function makeListenerProfile(name: ProfileName): ListenerProfile {
  return name === "locked" ? lockedProfile() : openProfile(name);
}

function openProfile(name: ProfileName): ListenerProfile {
  return {
    name,
    flags: [],
    keys: null,
    trust: null,
    caFile: null,
    changeIdentity: null,
    spoilIdentity: null,
    dispose() {},
  };
}

function lockedProfile(): ListenerProfile {
  const folder = mkdtempSync("/tmp/hotwheels-soak-");
  const keep = (name: string, text: string): string => {
    const path = `${folder}/${name}`;
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const keys = { publish: crypto.randomUUID(), subscribe: crypto.randomUUID() };
  let at = 0;
  const place = () => ({
    cert: keep("server.crt", IDENTITIES[at]!.cert),
    key: keep("server.key", IDENTITIES[at]!.key),
  });
  const { cert, key } = place();
  let spoilt = 0;
  return {
    name: "locked",
    flags: [
      ...["--tls-cert", cert, "--tls-key", key],
      ...["--publish-key-file", keep("publish.keys", `${keys.publish}\n`)],
      ...["--subscribe-key-file", keep("subscribe.keys", `${keys.subscribe}\n`)],
    ],
    keys,
    trust: TRUST,
    caFile: keep("authorities.crt", TRUST.ca!),
    changeIdentity() {
      at = 1 - at;
      place();
    },
    spoilIdentity() {
      keep("server.crt", spoilt++ % 2 === 0 ? IDENTITIES[1 - at]!.cert : "no certificate\n");
      return () => void place();
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
