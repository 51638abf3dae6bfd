import { EnvironmentError } from "../../cli/command_line.ts";
import { readTextFile } from "../../cli/text_file.ts";

/**
 * Reads a certificate authority to accept, as PEM text.
 *
 * @param flag The flag that names the file.
 * @throws {EnvironmentError} if it can't be read, or holds no certificate.
 */
export function readAuthority(flag: string, path: string): string {
  const text = readTextFile(`${flag} ${path}`, path);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new EnvironmentError(`${flag} ${path} holds no certificate as PEM text`);
}
