/** Wires the order service. */
import { startConsumer } from "@ordermesh/events/consumer";
import { KafkaBus } from "@ordermesh/events/kafka";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { runRelay } from "@ordermesh/events/relay";
import { kafkaAccess } from "@ordermesh/events/settings";
import { TOPICS } from "@ordermesh/events/topics";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { migrate } from "@ordermesh/runtime/migrate";
import { Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Catalog } from "./catalog.ts";
import type { SETTINGS } from "./config.ts";
import { createOrderMetrics, type OrderMetrics } from "./metrics.ts";
import type { SagaRules } from "./saga.ts";
import { SagaRunner } from "./saga-runner.ts";
import { orderService } from "./server.ts";
import { shipmentHandler } from "./shipments.ts";
import { OrderStore } from "./store.ts";
import { OrderWatch } from "./watch.ts";

const MEASURE_EVERY_MS = 2_000;
const PRUNE_EVERY_ROUNDS = 30;

/** Parameters only so that tests can plant bugs. */
type Policies = {
  readonly openStore?: (db: Db, leaseMs: number, bus: KafkaBus) => OrderStore;
  readonly rules?: SagaRules;
};

export async function startOrder(
  context: ServiceContext<typeof SETTINGS>,
  { openStore = (db, leaseMs) => new OrderStore(db, leaseMs), rules }: Policies = {},
) {
  const { config, log, metrics, clock, random, mesh, lifecycle } = context;
  const { postgresUrl: url, postgresPoolSize: poolSize } = config;
  const migration = { url, clock, log, signal: lifecycle.stopping };
  await migrate({ ...migration, dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE });
  await migrate({ ...migration, dir: new URL("../migrations/", import.meta.url), table: "order_migrations" });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  const eventMetrics = createEventMetrics(metrics.registry);
  const bus = new KafkaBus({ ...kafkaAccess(config), clientId: "order", log, clock, metrics: eventMetrics });
  const store = openStore(db, config.sagaLeaseMs, bus);
  const orderMetrics = createOrderMetrics(metrics.registry);
  const inventory = mesh.client(InventoryServiceDefinition, "inventory");
  const payment = mesh.client(PaymentServiceDefinition, "payment");
  const runner = new SagaRunner({
    store,
    inventory,
    payment,
    timeoutMs: config.sagaTimeoutMs,
    maxDriven: config.sagaConcurrency,
    log,
    metrics: orderMetrics,
    clock,
    random,
    ...(rules === undefined ? {} : { rules }),
  });
  const watch = new OrderWatch(clock);
  watch.listen(db);

  const common = { db, bus, log, metrics: eventMetrics, clock, random, signal: lifecycle.stopping };
  const relaying = runRelay({ ...common, holder: config.instance || crypto.randomUUID(), chunk: config.relayChunk });
  const onFatal = (error: Error) => lifecycle.fail(error);
  startConsumer({ ...common, group: "order", topics: [TOPICS.shipments], handle: shipmentHandler(store), onFatal });
  const recovering = runner.recover(lifecycle.stopping);
  const measuring = measure(store, orderMetrics, context);

  lifecycle.onDrain("relay", () => relaying);
  lifecycle.onDrain("sagas", () => recovering);
  lifecycle.onDrain("measure", () => measuring);
  lifecycle.onClose("postgres", () => db.close());
  lifecycle.onClose("kafka", () => bus.close());
  const catalog = new Catalog(inventory, clock);
  await catalog.prepare();
  return [orderService({ store, runner, catalog, watch, metrics: orderMetrics, clock })];
}

async function measure(
  store: OrderStore,
  metrics: OrderMetrics,
  { clock, lifecycle }: ServiceContext<typeof SETTINGS>,
): Promise<void> {
  for (let round = 0; !lifecycle.stopping.aborted; round += 1) {
    try {
      const { open, oldestAgeS, stuck } = await store.measure();
      metrics.open.set(open);
      metrics.oldestAge.set(oldestAgeS);
      metrics.needsAttention.set(stuck);
      if (round % PRUNE_EVERY_ROUNDS === 0) await store.pruneKeys();
    } catch {
      // The database's own metrics show the failure; the next round measures again.
    }
    await clock.sleep(MEASURE_EVERY_MS, lifecycle.stopping);
  }
}
