/** The processes of the system, wired as their main files wire them, over ports in memory. */
import { type CommitPolicy, startConsumer } from "@ordermesh/events/consumer";
import { type InboxPolicy, inboxInTransaction } from "@ordermesh/events/inbox";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { type RelayOptions, runRelay } from "@ordermesh/events/relay";
import { TOPICS } from "@ordermesh/events/topics";
import { inventoryService } from "@ordermesh/inventory/server";
import { Stock } from "@ordermesh/inventory/stock";
import type { Clock } from "@ordermesh/mesh/clock";
import type { MeshClient } from "@ordermesh/mesh/service-definition";
import { Messages } from "@ordermesh/notification/messages";
import { sendUntilStopped } from "@ordermesh/notification/notification";
import { Catalog } from "@ordermesh/order/catalog";
import { createOrderMetrics } from "@ordermesh/order/metrics";
import type { SagaRules } from "@ordermesh/order/saga";
import { SagaRunner } from "@ordermesh/order/saga-runner";
import { orderService } from "@ordermesh/order/server";
import { shipmentHandler } from "@ordermesh/order/shipments";
import { OrderStore } from "@ordermesh/order/store";
import { OrderWatch } from "@ordermesh/order/watch";
import { Charges } from "@ordermesh/payment/charges";
import { CardProvider } from "@ordermesh/payment/provider";
import { chargeKey, type KeyOf } from "@ordermesh/payment/rules";
import { paymentService } from "@ordermesh/payment/server";
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import type { GrpcService } from "@ordermesh/runtime/grpc-service";
import { createLogger } from "@ordermesh/runtime/log";
import { shippingService } from "@ordermesh/shipping/server";
import { Shipments } from "@ordermesh/shipping/shipments";
import { dispatchUntilStopped } from "@ordermesh/shipping/shipping";
import { Registry } from "prom-client";
import type { Chance } from "./chance.ts";
import type { MemoryDatabase } from "./memory-database.ts";
import type { MemoryKafka } from "./memory-kafka.ts";
import type { MemoryMesh } from "./memory-mesh.ts";
import type { SimulatedProcess } from "./scheduler.ts";

export const SERVICES = ["order", "inventory", "payment", "shipping", "notification"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** What a run lets processes be different in, besides the wrong parts that a planted bug brings. */
export type Rules = {
  readonly sagaTimeoutMs: number;
  readonly sagaLeaseMs: number;
  readonly sagaConcurrency: number;
  readonly carrierDelayMs: number;
  readonly providerTimeoutMs: number;
};

/** Parts that a planted bug puts in the place of the right ones. */
export type Parts = {
  readonly keyOf?: (chance: Chance) => KeyOf;
  readonly inbox?: InboxPolicy;
  readonly commit?: CommitPolicy;
  readonly rules?: SagaRules;
  readonly relay?: (options: RelayOptions) => Promise<void>;
  readonly store?: (machine: Machine) => OrderStore;
  readonly payment?: (
    client: MeshClient<typeof PaymentServiceDefinition>,
  ) => MeshClient<typeof PaymentServiceDefinition>;
  readonly provider?: (machine: Machine) => CardProvider;
};

/** Where a process runs. */
export type Machine = {
  readonly process: SimulatedProcess;
  readonly db: MemoryDatabase;
  readonly kafka: ReturnType<MemoryKafka["connect"]>;
  readonly mesh: MemoryMesh;
  readonly clock: Clock;
  /** Never aborts: processes crash, and none is asked to stop. */
  readonly signal: AbortSignal;
  readonly chance: Chance;
  readonly rules: Rules;
  readonly parts: Parts;
};

const log = createLogger({ service: "simulation", instance: "", version: "", level: "silent" });
const registry = new Registry();
const orderMetrics = createOrderMetrics(registry);
const eventMetrics = createEventMetrics(registry);
const RELAY_CHUNK = 2;

function common({ process, db, kafka, clock, signal, chance }: Machine) {
  return {
    db,
    bus: kafka,
    log,
    metrics: eventMetrics,
    clock,
    random: chance.random,
    signal,
    onFatal: () => process.crash(),
  };
}

function startRelay(machine: Machine): void {
  const { relay = runRelay } = machine.parts;
  const holder = `${machine.process.name} ${machine.chance.random()}`;
  void relay({ ...common(machine), holder, chunk: RELAY_CHUNK });
}

function startOrder(machine: Machine): GrpcService {
  const { process, db, mesh, clock, chance, rules, parts } = machine;
  const store = parts.store?.(machine) ?? new OrderStore(db, rules.sagaLeaseMs);
  const inventory = mesh.client(process, InventoryServiceDefinition);
  const toPayment = mesh.client(process, PaymentServiceDefinition);
  const payment = parts.payment?.(toPayment) ?? toPayment;
  const shared = { store, metrics: orderMetrics, clock, makeId: chance.newId };
  const limits = { timeoutMs: rules.sagaTimeoutMs, maxDriven: rules.sagaConcurrency };
  const own = parts.rules === undefined ? {} : { rules: parts.rules };
  const runner = new SagaRunner({ ...shared, ...own, ...limits, inventory, payment, log, random: chance.random });
  const watch = new OrderWatch(clock);
  watch.listen(db);
  startRelay(machine);
  startConsumer({ ...common(machine), group: "order", topics: [TOPICS.shipments], handle: shipmentHandler(store) });
  void runner.recover(machine.signal);
  return orderService({ ...shared, runner, catalog: new Catalog(inventory, clock), watch });
}

function startPayment(machine: Machine): GrpcService {
  const { db, clock, chance, rules, parts } = machine;
  const provider = parts.provider?.(machine) ?? new CardProvider(db, clock);
  const keyOf = parts.keyOf?.(chance) ?? chargeKey;
  return paymentService(new Charges({ db, provider, keyOf, timeoutMs: rules.providerTimeoutMs }));
}

function startShipping(machine: Machine): GrpcService {
  const { db, clock, chance, rules } = machine;
  const { carrierDelayMs } = rules;
  const shipments = new Shipments({ db, carrierDelayMs, clock, random: chance.random, makeId: chance.newId });
  const handle = (...batch: Parameters<Shipments["create"]>) => shipments.create(...batch);
  startRelay(machine);
  startConsumer({ ...common(machine), group: "shipping", topics: [TOPICS.orders], handle });
  void dispatchUntilStopped(shipments, common(machine));
  return shippingService(shipments);
}

function startNotification(machine: Machine): undefined {
  const { db, clock, chance, parts } = machine;
  const { inbox = inboxInTransaction, commit = "after-work" } = parts;
  const messages = new Messages(db, clock, chance.newId);
  const handle = (...batch: Parameters<Messages["queue"]>) => messages.queue(...batch);
  const topics = [TOPICS.orders, TOPICS.shipments];
  startConsumer({ ...common(machine), group: "notification", topics, handle, inbox, commit });
  void sendUntilStopped(() => messages.sendWaiting((batch) => messages.deliverToMailbox(batch), 3), common(machine));
}

const START: Readonly<Record<ServiceName, (machine: Machine) => GrpcService | undefined>> = {
  order: startOrder,
  inventory: ({ db }) => inventoryService(new Stock(db)),
  payment: startPayment,
  shipping: startShipping,
  notification: startNotification,
};

/** Starts a process of the service, and lets others find it. */
export function startProcess(service: ServiceName, machine: Machine): void {
  const served = START[service](machine);
  if (served !== undefined) machine.mesh.serve(machine.process, served);
}
