/** The shipping process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startShipping } from "./shipping.ts";

await runService({ name: "shipping", settings: SETTINGS, start: startShipping }, process.env);
