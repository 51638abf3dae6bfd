import { X509Certificate } from "node:crypto";
import { EnvironmentError, quote, UsageError } from "../../cli/command_line.ts";
import { isReadByAll, readTextFile } from "../../cli/text_file.ts";
import { DEFAULT_LOG_BYTES, DEFAULT_LOG_MS } from "../machines/wire/limits.ts";
import type { ServeClusterOptions } from "../cluster_setup.ts";

/** The options of a cluster, as the command line has them. */
export interface ClusterCommandOptions {
  /** NATS's servers, without users and passwords. */
  readonly servers: readonly string[];
  readonly isSecure: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly name: string;
  readonly credentialsFile: string | undefined;
  readonly caFile: string | undefined;
  readonly logBytes: number;
  readonly logMs: number;
}

type ClusterFlag =
  | "cluster"
  | "cluster-name"
  | "cluster-credentials"
  | "cluster-ca"
  | "cluster-log-bytes"
  | "cluster-log-time";

/** The flags of a cluster, as they are read. */
interface ClusterLine {
  text(name: ClusterFlag): string | undefined;
  number(name: "cluster-log-bytes", least: number, most: number): number | undefined;
  duration(name: "cluster-log-time"): number | undefined;
  nameOf(name: ClusterFlag): string;
}

/** The name of a cluster, unless given. */
const DEFAULT_NAME = "hotwheels";

/** A name is a part of NATS's subjects. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const URL_PATTERN =
  /^(nats|tls):\/\/(?:([^@/\s]*)@)?(\[[0-9a-fA-F:.]+\]|[^@/\s:[\]]+)(?::(\d{1,5}))?\/?$/;

const DEFAULT_PORT = "4222";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** The flags that mean nothing without a cluster. */
const DEPENDENT = [
  "cluster-name",
  "cluster-credentials",
  "cluster-ca",
  "cluster-log-bytes",
  "cluster-log-time",
] as const;

/**
 * Reads the flags of a cluster; `undefined` without one.
 *
 * @throws {UsageError} if anything in them isn't as the help says. No message holds a password.
 */
export function clusterOptions(line: ClusterLine): ClusterCommandOptions | undefined {
  const text = line.text("cluster");
  if (text === undefined) {
    const alone = DEPENDENT.find((flag) => line.text(flag) !== undefined);
    if (alone !== undefined) throw new UsageError(`${line.nameOf(alone)} needs --cluster too`);
    return undefined;
  }
  const flag = line.nameOf("cluster");
  const urls = text.split(",").map((url, at, all) => {
    return parseUrl(url, flag, all.slice(at + 1).some((later) => later.includes("@")));
  });
  const [first] = urls as [ParsedUrl, ...ParsedUrl[]];
  for (const { isSecure, login, shown } of urls) {
    if (isSecure !== first.isSecure) {
      throw new UsageError(`${flag} must not mix nats:// and tls://, as ${quote(shown)} does`);
    }
    if (login !== undefined && login !== first.login) {
      throw new UsageError(
        `${flag} has several users; NATS's servers must know the same one, which stands in the first URL`,
      );
    }
  }
  const name = line.text("cluster-name") ?? DEFAULT_NAME;
  if (!NAME.test(name)) {
    throw new UsageError(
      `${line.nameOf("cluster-name")} must be 1 to 64 letters, digits, - and _, not ${quote(name)}`,
    );
  }
  const credentialsFile = line.text("cluster-credentials");
  if (credentialsFile !== undefined && first.login !== undefined) {
    throw new UsageError(
      `${
        line.nameOf("cluster-credentials")
      } and a user in ${flag} can't both be used; give one of them`,
    );
  }
  const caFile = line.text("cluster-ca");
  if (caFile !== undefined && !first.isSecure) {
    throw new UsageError(`${line.nameOf("cluster-ca")} needs tls:// in ${flag}`);
  }
  return {
    servers: urls.map(({ server }) => server),
    isSecure: first.isSecure,
    ...loginOf(first.login, flag),
    name,
    credentialsFile,
    caFile,
    logBytes: line.number("cluster-log-bytes", MIB, 64 * GIB) ?? DEFAULT_LOG_BYTES,
    logMs: Math.ceil(line.duration("cluster-log-time") ?? DEFAULT_LOG_MS),
  };
}

/** The URLs without users and passwords, as they may be shown. */
export function shownServers({ servers, isSecure }: ClusterCommandOptions): string[] {
  return servers.map((server) => `${isSecure ? "tls" : "nats"}://${server}`);
}

/**
 * Reads the files that the flags name.
 *
 * @param warn Receives one line for each weakness of a file that can still be used.
 * @throws {EnvironmentError} if one can't be read, or holds something else.
 */
export function readCluster(
  options: ClusterCommandOptions,
  warn: (line: string) => void,
): ServeClusterOptions {
  const { servers, isSecure, name, caFile, credentialsFile, logBytes, logMs } = options;
  const { user, password, token } = options;
  return {
    servers: servers.map((server) => `${isSecure ? "tls" : "nats"}://${server}`),
    name,
    logBytes,
    logMs,
    ...(user === undefined ? {} : { user, password: password ?? "" }),
    ...(token === undefined ? {} : { token }),
    ...(credentialsFile === undefined ? {} : readCredentials(credentialsFile, warn)),
    ...(caFile === undefined ? {} : { ca: readAuthorities(caFile) }),
  };
}

function readAuthorities(path: string): string {
  const what = `--cluster-ca ${path}`;
  const text = readTextFile(what, path);
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g);
  if (certificates === null) {
    throw new EnvironmentError(`${what} holds no certificate as PEM text`);
  }
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (cause) {
    throw new EnvironmentError(`${what} holds a certificate that can't be read`, { cause });
  }
  return text;
}

function readCredentials(
  path: string,
  warn: (line: string) => void,
): Pick<ServeClusterOptions, "credentials" | "user" | "password" | "token"> {
  const what = `--cluster-credentials ${path}`;
  const text = readTextFile(what, path);
  if (isReadByAll(path)) warn(`every user of this machine may read ${what}: chmod o-r it`);
  if (text.includes("-----BEGIN NATS USER JWT-----")) {
    // NATS's client doesn't read them with the line ends of Windows.
    return { credentials: text.replaceAll("\r\n", "\n") };
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#"));
  const [login] = lines;
  if (login === undefined || lines.length > 1) {
    throw new EnvironmentError(
      `${what} must hold a user's credentials of NATS, or one line: USER:PASSWORD, or a token`,
    );
  }
  const colon = login.indexOf(":");
  return colon === -1
    ? { token: login }
    : { user: login.slice(0, colon), password: login.slice(colon + 1) };
}

interface ParsedUrl {
  readonly isSecure: boolean;
  readonly login: string | undefined;
  /** Host and port. */
  readonly server: string;
  /** The URL without its user. */
  readonly shown: string;
}

/** @param mayBeLogin True if the text may be the beginning of a user and a password with a comma. */
function parseUrl(text: string, flag: string, mayBeLogin: boolean): ParsedUrl {
  const [, scheme, login, host, port = DEFAULT_PORT] = URL_PATTERN.exec(text) ?? [];
  if (scheme === undefined || host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new UsageError(
      `${flag} must list NATS's servers such as nats://10.0.0.5:4222 or ` +
        `tls://user:password@nats.example.com, not ${quote(withoutLogin(text, mayBeLogin))}` +
        (mayBeLogin ? "; a comma in a user or password is written as %2C" : ""),
    );
  }
  const server = `${host}:${port}`;
  return { isSecure: scheme === "tls", login, server, shown: `${scheme}://${server}` };
}

/** A wrong URL as it may be shown. */
function withoutLogin(text: string, mayBeLogin: boolean): string {
  const shown = text.replace(/\/\/[^/]*@/, "//…@");
  if (shown === text && (mayBeLogin || text.includes("@"))) return "…";
  // What stands in place of a port may be a password, if the host is missing.
  return shown.replace(/(\/\/[^/:@]+):(?!\d*$).*/, "$1:…");
}

function loginOf(
  login: string | undefined,
  flag: string,
): Pick<ClusterCommandOptions, "user" | "password" | "token"> {
  if (login === undefined || login === "") {
    return { user: undefined, password: undefined, token: undefined };
  }
  const [first, ...rest] = login.split(":");
  try {
    const decoded = decodeURIComponent(first as string);
    if (rest.length === 0) return { user: undefined, password: undefined, token: decoded };
    return { user: decoded, password: decodeURIComponent(rest.join(":")), token: undefined };
  } catch {
    throw new UsageError(
      `${flag} has a % that is no escape in its user or password; write it as %25`,
    );
  }
}
