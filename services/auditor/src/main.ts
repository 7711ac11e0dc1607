/** The auditor process. */
import { runService } from "@ordermesh/runtime/service";
import { startAuditor } from "./auditor.ts";
import { SETTINGS } from "./config.ts";

await runService({ name: "auditor", settings: SETTINGS, start: startAuditor }, process.env);
