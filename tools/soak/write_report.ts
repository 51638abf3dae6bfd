import { writeReportFile } from "../../cli/report_file.ts";

/**
 * Prints a report, and writes it as JSON.
 *
 * @param text The report for people.
 * @param json The file for the JSON report; `-` for standard output, which sends the text to standard
 * error; `null` for none.
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
