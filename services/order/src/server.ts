/** OrderService: checks what comes in, takes orders, and shows how they are. */
import { abortWith } from "@ordermesh/mesh/abort-with";
import type { Clock } from "@ordermesh/mesh/clock";
import type { CallContext } from "@ordermesh/mesh/context";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderServiceDefinition, type PlaceOrderRequest } from "@ordermesh/proto/ordermesh/order/v1/order";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";
import { isUuid, type NewId, newId } from "@ordermesh/runtime/ids";
import type { Catalog } from "./catalog.ts";
import { isFinal, toOrder } from "./messages.ts";
import type { OrderMetrics } from "./metrics.ts";
import { stepOf } from "./saga.ts";
import type { SagaRunner } from "./saga-runner.ts";
import type { OrderRow, OrderStore } from "./store.ts";
import { hashRequest, isCustomerId, validateOrder } from "./validation.ts";
import type { OrderWatch } from "./watch.ts";

/** PlaceOrder calls that are open at the same time; more are refused before they are accepted. */
const MAX_PLACING = 500;
/** Statements that wait for a connection to the database: what comes after so many could not be answered in time. */
const MAX_WAITING = 256;
/**
 * Share of a call's time that is kept back to answer "still pending" before the caller gives up. A machine on which everything
 * starts anew took up to 2.4 of 5 s for it: to accept the order late, and to bring the answer home.
 */
const ANSWER_MARGIN_SHARE = 0.5;
const MIN_ANSWER_MARGIN_MS = 100;
const DEFAULT_PAGE = 20;
const MAX_PAGE = 100;
const LAST_ID = "ffffffff-ffff-7fff-bfff-ffffffffffff";

type Dependencies = {
  readonly store: OrderStore;
  readonly runner: SagaRunner;
  readonly catalog: Catalog;
  readonly watch: OrderWatch;
  readonly metrics: OrderMetrics;
  readonly clock: Clock;
  /** Random identifiers unless given. */
  readonly makeId?: NewId;
};

const CALLERS = {
  placeOrder: ["storefront"],
  getOrder: ["storefront"],
  listOrders: ["storefront"],
  watchOrder: ["storefront"],
  cancelOrder: ["storefront"],
};

export function orderService(dependencies: Dependencies): GrpcService {
  const { store, runner, watch } = dependencies;
  let placing = 0;
  const find = async (orderId: string, customerId: string) => {
    const row = isUuid(orderId) && isCustomerId(customerId) ? await store.find(orderId, customerId) : undefined;
    if (row === undefined) throw new MeshError("not-found", "ORDER_UNKNOWN", "there is no such order");
    return row;
  };
  return implement(
    OrderServiceDefinition,
    {
      async placeOrder(request, call) {
        validateOrder(request);
        if (placing >= MAX_PLACING || store.waiting >= MAX_WAITING)
          throw new MeshError("exhausted", "TOO_MANY_ORDERS", "too many orders at once; try again soon");
        placing += 1;
        try {
          return { order: toOrder(await placeOrder(request, call, dependencies)) };
        } finally {
          placing -= 1;
        }
      },
      getOrder: async ({ orderId, customerId }) => ({ order: toOrder(await find(orderId, customerId)) }),
      async listOrders({ customerId, pageSize, pageToken }) {
        const isPage = pageSize >= 0 && pageSize <= MAX_PAGE && (pageToken === "" || isUuid(pageToken));
        if (!isPage || !isCustomerId(customerId))
          throw new MeshError(
            "invalid",
            "PAGE_INVALID",
            `customer_id must be a customer's, page_size 0 to ${MAX_PAGE}, page_token from an earlier answer`,
          );
        const limit = pageSize || DEFAULT_PAGE;
        const rows = await store.list(customerId, pageToken || LAST_ID, limit);
        return { orders: rows.map(toOrder), nextPageToken: rows.length === limit ? (rows.at(-1)?.order_id ?? "") : "" };
      },
      async *watchOrder({ orderId, customerId }, { signal, deadlineMs }) {
        const read = async () => toOrder(await find(orderId, customerId));
        const timeoutMs = deadlineMs - dependencies.clock.nowMs();
        let version = 0n;
        for await (const order of watch.follow(orderId, read, { signal, timeoutMs, isEnough: isFinal })) {
          if (order.version > version) yield { order };
          version = order.version;
        }
      },
      async cancelOrder({ orderId, customerId }) {
        const row = await find(orderId, customerId);
        const changed = await store.requestCancel(orderId);
        if (changed !== undefined) runner.wake();
        const current = changed ?? (await find(row.order_id, customerId));
        if (changed === undefined && !current.cancel_requested && current.state !== "CANCELLED")
          throw new MeshError(
            "precondition",
            "ORDER_NOT_CANCELLABLE",
            "the order is charged or being cancelled already",
          );
        return { order: toOrder(current) };
      },
    },
    CALLERS,
    ["placeOrder"], // It has a bound of its own.
  );
}

async function placeOrder(
  request: PlaceOrderRequest,
  call: CallContext,
  dependencies: Dependencies,
): Promise<OrderRow> {
  const { runner, metrics } = dependencies;
  const answerAtMs = whenToAnswer(call, dependencies.clock);
  const hash = hashRequest(request);
  const isDriven = runner.keepPlace();
  const accepted = await accept({ ...request, hash, isDriven }, call, dependencies).finally(() => {
    if (isDriven) runner.unkeepPlace();
  });
  if (!accepted.hash.equals(hash)) throw keyReused();
  if (!accepted.isNew) return await untilDecided(accepted.row, call, answerAtMs, dependencies);
  metrics.orders.inc({ outcome: "accepted", reason: "" });
  if (!isDriven) return accepted.row; // It waits for others first: whoever wants to know how it ends follows it.
  const driven = runner.drive(accepted.row);
  const { clock } = dependencies;
  const enough = abortWith(call.signal);
  const timeout = clock.sleep(Math.max(0, answerAtMs - clock.nowMs()), enough.signal);
  const row = await Promise.race([driven, timeout.then(() => accepted.row)]);
  enough.abort();
  return stepOf(row.state) === undefined ? row : await untilDecided(accepted.row, call, answerAtMs, dependencies);
}

async function accept(
  request: PlaceOrderRequest & { hash: Buffer; isDriven: boolean },
  call: CallContext,
  { store, catalog, clock, makeId = newId }: Dependencies,
) {
  const { customerId, idempotencyKey: key, email, shipTo, paymentToken, hash, isDriven } = request;
  try {
    const { lines, total } = await catalog.price(request);
    if (shipTo === undefined) throw new TypeError("a validated order has an address");
    return await store.accept({
      orderId: makeId(clock.wallMs()),
      customerId,
      key,
      hash,
      email,
      shipTo,
      lines: lines.map(({ sku, name, quantity, unitPrice }) => ({
        sku,
        name,
        quantity,
        unitPriceMinor: String(unitPrice?.minorUnits),
      })),
      totalMinor: total.minorUnits,
      currency: total.currency,
      paymentToken,
      traceparent: call.traceparent,
      isDriven,
    });
  } catch (error) {
    // A repeated key gets its order even when the same request would not be taken today.
    if (!(error instanceof MeshError) || error.kind !== "invalid") throw error;
    const earlier = await store.findByKey(customerId, key);
    if (earlier === undefined) throw error;
    return { ...earlier, isNew: false };
  }
}

/** The order as soon as it is decided, or as it was known when the deadline nears: nobody has the time then to ask a busy database. */
async function untilDecided(
  row: OrderRow,
  call: CallContext,
  answerAtMs: number,
  { store, watch, clock }: Dependencies,
): Promise<OrderRow> {
  const read = async () => (await store.find(row.order_id, row.customer_id)) ?? row;
  const isEnough = ({ state }: OrderRow) => stepOf(state) === undefined;
  let latest = row;
  const enough = abortWith(call.signal);
  const { signal } = enough;
  const follow = async () => {
    const until = { signal, timeoutMs: Number.POSITIVE_INFINITY, isEnough };
    for await (const current of watch.follow(row.order_id, read, until)) latest = current;
  };
  await Promise.race([follow(), clock.sleep(Math.max(0, answerAtMs - clock.nowMs()), signal)]);
  enough.abort();
  return latest;
}

/** On the monotonic clock. */
function whenToAnswer({ deadlineMs }: CallContext, clock: Clock): number {
  return deadlineMs - Math.max(MIN_ANSWER_MARGIN_MS, (deadlineMs - clock.nowMs()) * ANSWER_MARGIN_SHARE);
}

function keyReused(): MeshError {
  const violations = [{ field: "idempotency_key", description: "was used for another order" }];
  return new MeshError("invalid", "IDEMPOTENCY_KEY_REUSED", "the key was used for another order", { violations });
}
