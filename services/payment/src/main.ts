/** The payment process. */
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "./config.ts";
import { startPayment } from "./payment.ts";

await runService({ name: "payment", settings: SETTINGS, start: (context) => startPayment(context) }, process.env);
