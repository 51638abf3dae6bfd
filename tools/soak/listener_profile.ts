/**
 * How a soaked server lets its clients in.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { TlsTrust } from "../../runtime/types.ts";
import { IDENTITIES, TRUST } from "./clients/identities.ts";
import type { Keys } from "./clients/member.ts";

/**
 * `open`: plain TCP, everybody may publish and subscribe. `locked`: TLS, and a key for either. `tight`: as
 * `open`, but with so little memory for what is on its way that attacks can fill it in a second.
 */
export const DOOR_NAMES = ["open", "locked", "tight"] as const;
export type DoorName = typeof DOOR_NAMES[number];

/** One door. */
export interface Door {
  readonly name: DoorName;
  /** The server's flags. */
  readonly flags: readonly string[];
  readonly keys: Keys | null;
  /** Whom clients must believe; `null` without TLS. */
  readonly trust: TlsTrust | null;
  /** Puts the other of two certificates in place; `null` without TLS. */
  readonly changeIdentity: (() => void) | null;
  /**
   * Puts in place what can't be used: in turn the other certificate without its key, and no certificate
   * at all. `null` without TLS.
   *
   * @returns Puts back what was there.
   */
  readonly spoilIdentity: (() => () => void) | null;
  /** Removes its files. */
  dispose(): void;
}

/** Makes a door, and the files that it takes. */
export function makeDoor(name: DoorName): Door {
  return name === "locked" ? lockedDoor() : openDoor(name);
}

function openDoor(name: DoorName): Door {
  return {
    name,
    flags: [],
    keys: null,
    trust: null,
    changeIdentity: null,
    spoilIdentity: null,
    dispose() {},
  };
}

function lockedDoor(): Door {
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
