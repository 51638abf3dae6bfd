import type { Logger } from "@logtape/logtape";
import type { Runtime, TlsIdentity } from "../../runtime/types.ts";
import { readAccess, readAdminKeys } from "./access_files.ts";
import type { AccessOptions } from "../access/access.ts";
import type { CommandOptions } from "./options.ts";
import type { ServiceManager } from "./service_manager.ts";
import { readIdentity } from "./tls_files.ts";
import { TEXT } from "../log/format.ts";

/** The part of a running server that can be changed. */
export interface Reloadable {
  /** See `RunningServer.renew`. */
  renew(identity: TlsIdentity): Promise<void>;
  /** See `RunningServer.setAccess`. */
  setAccess(access: AccessOptions): void | Promise<void>;
  /** See `RunningServer.setAdminKeys`. */
  setAdminKeys(keys: readonly string[]): void;
}

/**
 * Reads the files of a command line again on request. The certificate and the access rules change
 * independently: a mistake in a file of keys must not keep a certificate from being renewed.
 */
export class Reloader {
  readonly #runtime: Runtime;
  readonly #options: CommandOptions;
  readonly #server: Reloadable;
  readonly #logger: Logger;
  #reloading: Promise<void> | undefined;
  /** True if it was asked again meanwhile: what it has read may be old by now. */
  #isAskedAgain = false;
  #isStopped = false;
  readonly #manager: ServiceManager;

  /** @param manager Hears when files are being read, and when they have been. */
  constructor(
    runtime: Runtime,
    options: CommandOptions,
    server: Reloadable,
    logger: Logger,
    manager: ServiceManager,
  ) {
    this.#manager = manager;
    this.#runtime = runtime;
    this.#options = options;
    this.#server = server;
    this.#logger = logger;
  }

  /** Reads the files again, and logs the outcome. */
  reload(): void {
    this.#isAskedAgain = true;
    this.#reloading ??= this.#reloadAll();
  }

  /** Stops reading, because the server stops. */
  stop(): void {
    this.#isStopped = true;
  }

  async #reloadAll(): Promise<void> {
    this.#manager.reloading();
    while (this.#isAskedAgain && !this.#isStopped) {
      this.#isAskedAgain = false;
      await this.#reloadOnce();
    }
    if (!this.#isStopped) this.#manager.reloaded();
    this.#reloading = undefined;
  }

  async #reloadOnce(): Promise<void> {
    const { tls, publishKeyFile, subscribeKeyFile } = this.#options;
    const warn = (warning: string) => this.#logger.warn("{text.warning}", { [TEXT]: { warning } });
    const { publishFromFile, subscribeFromFile } = this.#options;
    const accessFiles = [publishKeyFile, subscribeKeyFile, publishFromFile, subscribeFromFile];
    const readsAccess = accessFiles.some((file) => file !== undefined);
    const { adminKeyFile } = this.#options;
    if (tls === undefined && !readsAccess && adminKeyFile === undefined) {
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
    if (adminKeyFile !== undefined) {
      await this.#change("the admin port's keys are", "the old ones stay", () => {
        this.#server.setAdminKeys(readAdminKeys(this.#options, warn)!);
      });
    }
  }

  /** @param change Throws if a file can't be read or used; then it has changed nothing. */
  async #change(what: string, otherwise: string, change: () => void | Promise<void>) {
    try {
      await change();
      this.#logger.info(`${what} renewed`);
    } catch (error) {
      const { message } = error as Error;
      this.#logger.error(`${what} not renewed, ${otherwise}: {error}`, { error: message });
    }
  }
}
