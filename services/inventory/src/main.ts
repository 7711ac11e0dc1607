/** The inventory process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startInventory } from "./inventory.ts";

await runService({ name: "inventory", settings: SETTINGS, start: startInventory }, process.env);
