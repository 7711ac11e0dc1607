/** Wires the shipping service. */
import { startConsumer } from "@ordermesh/events/consumer";
import { KafkaBus } from "@ordermesh/events/kafka";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { type RelayRound, relayBatch, runRelay } from "@ordermesh/events/relay";
import { kafkaAccess } from "@ordermesh/events/settings";
import { TOPICS } from "@ordermesh/events/topics";
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import type { SETTINGS } from "./config.ts";
import { shippingService } from "./server.ts";
import { Shipments } from "./shipments.ts";

const DISPATCH_POLL_MS = 250;

/** `relayRound` is a parameter only so that tests can plant the bugs of another relay. */
export async function startShipping(context: ServiceContext<typeof SETTINGS>, relayRound: RelayRound = relayBatch) {
  const { config, log, metrics, clock, random, lifecycle } = context;
  const { postgresUrl: url, postgresPoolSize: poolSize, carrierDelayMs } = config;
  const migration = { url, clock, log, signal: lifecycle.stopping };
  await migrate({ ...migration, dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE });
  await migrate({ ...migration, dir: new URL("../migrations/", import.meta.url), table: "shipping_migrations" });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  const shipments = new Shipments({ db, carrierDelayMs, clock, random });

  const eventMetrics = createEventMetrics(metrics.registry);
  const bus = new KafkaBus({ ...kafkaAccess(config), clientId: "shipping", log, clock, metrics: eventMetrics });
  const common = { db, bus, log, metrics: eventMetrics, clock, random, signal: lifecycle.stopping };
  const holder = config.instance || crypto.randomUUID();
  const relaying = runRelay({ ...common, holder, chunk: config.relayChunk }, relayRound);
  const onFatal = (error: Error) => lifecycle.fail(error);
  const handle = (...batch: Parameters<Shipments["create"]>) => shipments.create(...batch);
  startConsumer({ ...common, group: "shipping", topics: [TOPICS.orders], handle, onFatal });
  const dispatching = dispatchUntilStopped(shipments, common);

  lifecycle.onDrain("relay", () => relaying);
  lifecycle.onDrain("dispatch", () => dispatching);
  lifecycle.onClose("postgres", () => db.close());
  lifecycle.onClose("kafka", () => bus.close());
  return [shippingService(shipments)];
}

/** What a loop that runs until a process stops needs of it. */
type Loop = Pick<ServiceContext<typeof SETTINGS>, "clock" | "log"> & { readonly signal: AbortSignal };

export async function dispatchUntilStopped(shipments: Shipments, { clock, log, signal }: Loop): Promise<void> {
  while (!signal.aborted) {
    try {
      if ((await shipments.dispatchDue()) > 0) continue;
    } catch (error) {
      log.warn({ err: error }, "dispatch failed, trying again");
    }
    await clock.sleep(DISPATCH_POLL_MS, signal);
  }
}
