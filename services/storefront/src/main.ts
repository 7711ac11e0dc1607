/** The storefront process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startStorefront } from "./storefront.ts";

await runService({ name: "storefront", settings: SETTINGS, start: startStorefront }, process.env);
