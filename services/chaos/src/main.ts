/** The process that runs experiments. */
import { runService } from "@ordermesh/runtime/service";
import { startChaos } from "./chaos.ts";
import { SETTINGS } from "./config.ts";

await runService({ name: "chaos", settings: SETTINGS, start: startChaos }, process.env);
