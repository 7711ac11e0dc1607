/** The order process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startOrder } from "./order.ts";

await runService({ name: "order", settings: SETTINGS, start: startOrder }, process.env);
