/** The payment process that asks the provider under a new key for every attempt. For tests of the judge. */
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "../src/config.ts";
import { startPayment } from "../src/payment.ts";

const start = (context: Parameters<typeof startPayment>[0]) =>
  startPayment(context, (orderId) => `charge:${orderId}:${randomUUID()}`);
await runService({ name: "payment", settings: SETTINGS, start }, env);
