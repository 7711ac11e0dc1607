/** Wires the payment service. */
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Charges } from "./charges.ts";
import type { SETTINGS } from "./config.ts";
import { CardProvider } from "./provider.ts";
import { chargeKey, type KeyOf } from "./rules.ts";
import { paymentService } from "./server.ts";

/** `keyOf` is a parameter only so that a test can plant the bug of a new key for every attempt. */
export async function startPayment(context: ServiceContext<typeof SETTINGS>, keyOf: KeyOf = chargeKey) {
  const { config, log, metrics, clock, random, lifecycle } = context;
  const { postgresUrl: url, postgresPoolSize: poolSize, providerTimeoutMs: timeoutMs } = config;
  const dir = new URL("../migrations/", import.meta.url);
  await migrate({ url, dir, table: "payment_migrations", clock, log, signal: lifecycle.stopping });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  lifecycle.onClose("postgres", () => db.close());
  const provider = new CardProvider(db, clock);
  return [paymentService(new Charges({ db, provider, keyOf, timeoutMs }))];
}
