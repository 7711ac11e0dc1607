/** Wires the payment service. */
import type { Clock } from "@ordermesh/mesh/clock";
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Charges } from "./charges.ts";
import type { SETTINGS } from "./config.ts";
import { CardProvider } from "./provider.ts";
import { chargeKey, type KeyOf } from "./rules.ts";
import { paymentService } from "./server.ts";

/** Parameters only so that tests can plant the bugs of a new key for every attempt, and of a provider that is asked twice. */
type Policies = { readonly keyOf?: KeyOf; readonly openProvider?: (db: Db, clock: Clock) => CardProvider };

export async function startPayment(
  context: ServiceContext<typeof SETTINGS>,
  { keyOf = chargeKey, openProvider = (db, clock) => new CardProvider(db, clock) }: Policies = {},
) {
  const { config, log, metrics, clock, random, lifecycle } = context;
  const { postgresUrl: url, postgresPoolSize: poolSize, providerTimeoutMs: timeoutMs } = config;
  const dir = new URL("../migrations/", import.meta.url);
  await migrate({ url, dir, table: "payment_migrations", clock, log, signal: lifecycle.stopping });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  lifecycle.onClose("postgres", () => db.close());
  const provider = openProvider(db, clock);
  return [paymentService(new Charges({ db, provider, keyOf, timeoutMs }))];
}
