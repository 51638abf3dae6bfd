import type { Logger } from "@logtape/logtape";
import type { Runtime, TlsIdentity } from "../../runtime/types.ts";
import { readAccess } from "./access_files.ts";
import type { AccessOptions } from "../access/access.ts";
import type { ServerOptions } from "./options.ts";
import { readIdentity } from "./tls_files.ts";

/** What can be changed of a server that runs. */
export interface Reloadable {
  /** See `RunningServer.renew`. */
  renew(identity: TlsIdentity): Promise<void>;
  /** See `RunningServer.setAccess`. */
  setAccess(access: AccessOptions): void | Promise<void>;
}

/**
 * Reads the files of a command line again when it's asked to. The certificate and the rules of who may do
 * what change independently: a mistake in one file must not keep a certificate from being renewed.
 */
export class Reloader {
  readonly #runtime: Runtime;
  readonly #options: ServerOptions;
  readonly #server: Reloadable;
  readonly #logger: Logger;
  #reloading: Promise<void> | undefined;
  /** It was asked again meanwhile: what it has read may be old by now. */
  #isAskedAgain = false;
  #isStopped = false;

  constructor(runtime: Runtime, options: ServerOptions, server: Reloadable, logger: Logger) {
    this.#runtime = runtime;
    this.#options = options;
    this.#server = server;
    this.#logger = logger;
  }

  /** Reads the files again, and logs what came of it. */
  reload(): void {
    this.#isAskedAgain = true;
    this.#reloading ??= this.#reloadAll();
  }

  /** Nothing is read any more: the server stops. */
  stop(): void {
    this.#isStopped = true;
  }

  async #reloadAll(): Promise<void> {
    while (this.#isAskedAgain && !this.#isStopped) {
      this.#isAskedAgain = false;
      await this.#reloadOnce();
    }
    this.#reloading = undefined;
  }

  async #reloadOnce(): Promise<void> {
    const { tls, publishKeyFile, subscribeKeyFile } = this.#options;
    const warn = (warning: string) => this.#logger.warn("{warning}", { warning });
    const { publishFromFile, subscribeFromFile } = this.#options;
    const accessFiles = [publishKeyFile, subscribeKeyFile, publishFromFile, subscribeFromFile];
    const readsAccess = accessFiles.some((file) => file !== undefined);
    if (tls === undefined && !readsAccess) {
      this.#logger.info("got SIGHUP: there are no files to read again");
    }
    if (tls !== undefined) {
      await this.#change("the certificate is", "the old one stays", async () => {
        await this.#server.renew(await readIdentity(this.#runtime, tls, warn));
      });
    }
    if (readsAccess) {
      await this.#change("keys and addresses are", "the old ones stay", () => {
        return this.#server.setAccess(readAccess(this.#options, warn));
      });
    }
  }

  /** @param change Throws where a file can't be read or used, and has changed nothing then. */
  async #change(what: string, otherwise: string, change: () => void | Promise<void>) {
    try {
      await change();
      this.#logger.info(`${what} renewed`);
    } catch (error) {
      const { message } = error as Error;
      this.#logger.error(`${what} not renewed, ${otherwise}: {message}`, { message });
    }
  }
}
