/** The notification process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startNotification } from "./notification.ts";

await runService(
  { name: "notification", settings: SETTINGS, start: (context) => startNotification(context) },
  process.env,
);
