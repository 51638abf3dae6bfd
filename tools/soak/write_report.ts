import { writeReportFile } from "../../cli/report_file.ts";

/**
 * Prints a report, and writes it as JSON.
 *
 * @param text For people.
 * @param json A file, or `-` for standard output, which sends the text to standard error.
 * @throws {EnvironmentError} if the file can't be written.
 */
export function writeReport(report: object, text: string, json: string | null): void {
  if (json === "-") {
    console.error(text);
    console.log(JSON.stringify(report));
    return;
  }
  console.log(text);
  if (json !== null) writeReportFile(json, JSON.stringify(report) + "\n", "--json");
}
