/** The three forms of a report under the names by which they are kept, as files or as the keys of a ConfigMap. Pure. */
import { type Report, renderJson } from "./report.ts";
import { renderJunit } from "./report-junit.ts";
import { renderPage } from "./report-page.ts";

export const REPORT_FILES = ["report.json", "junit.xml", "report.html"] as const;

/** All of them together have at most 900 kB. */
export function reportFiles(report: Report): Readonly<Record<(typeof REPORT_FILES)[number], string>> {
  return { "report.json": renderJson(report), "junit.xml": renderJunit(report), "report.html": renderPage(report) };
}

const MAX_NAME = 253;
const END = "-report";

/** The ConfigMap that holds the report of an experiment on a cluster. */
export function reportMapOf(experiment: string): string {
  return experiment.slice(0, MAX_NAME - END.length) + END;
}
