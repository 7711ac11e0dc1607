/** The products as inventory last told them; an order's prices are fixed from here when it is accepted. */
import type { Clock } from "@ordermesh/mesh/clock";
import { currentContext, runInContext } from "@ordermesh/mesh/context";
import { type FieldViolation, MeshError } from "@ordermesh/mesh/errors";
import type { MeshClient } from "@ordermesh/mesh/service-definition";
import type { InventoryServiceDefinition, Product } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import type { Money } from "@ordermesh/proto/ordermesh/money/v1/money";
import type { PlaceOrderRequest, PricedLine } from "@ordermesh/proto/ordermesh/order/v1/order";

const FRESH_MS = 10_000;
/** An unknown product is asked for, but not more often than this. */
const MIN_REFRESH_MS = 1_000;
/** Longer than the mesh's own, as without prices no order is accepted: a process that is new asks over connections that are new. */
const FETCH_TIMEOUT_MS = 3_000;
const MAX_TOTAL_MINOR = 10n ** 12n;

export type PricedOrder = { readonly lines: PricedLine[]; readonly total: Money };

export class Catalog {
  readonly #inventory: Pick<MeshClient<typeof InventoryServiceDefinition>, "listProducts">;
  readonly #clock: Clock;
  #products: ReadonlyMap<string, Product> = new Map();
  #loadedMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(inventory: Pick<MeshClient<typeof InventoryServiceDefinition>, "listProducts">, clock: Clock) {
    this.#inventory = inventory;
    this.#clock = clock;
  }

  /** Asks for the prices before the first order needs them; resolves even when there are none yet. */
  async prepare(): Promise<void> {
    await this.#load().catch(() => undefined); // The first order asks again.
  }

  /** @throws MeshError invalid ORDER_INVALID, TOTAL_MISMATCH; unavailable when inventory never answered */
  async price(request: PlaceOrderRequest): Promise<PricedOrder> {
    const ageMs = this.#clock.nowMs() - this.#loadedMs;
    const isMissing = request.lines.some(({ sku }) => !this.#products.has(sku));
    if (this.#products.size === 0 || (isMissing && ageMs >= MIN_REFRESH_MS)) await this.#load();
    else if (ageMs >= FRESH_MS) void this.#load().catch(() => undefined); // The old prices serve meanwhile.
    return priceOrder(request, this.#products);
  }

  #load(): Promise<void> {
    this.#loading ??= this.#fetch().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #fetch(): Promise<void> {
    const context = {
      deadlineMs: Number.POSITIVE_INFINITY,
      traceparent: currentContext()?.traceparent ?? "",
      signal: new AbortController().signal, // Others wait for the answer too, so no caller may cancel it.
      caller: "order",
    };
    const { products } = await runInContext(context, () =>
      this.#inventory.listProducts({}, { timeoutMs: FETCH_TIMEOUT_MS }),
    );
    this.#products = new Map(products.map((product) => [product.sku, product]));
    this.#loadedMs = this.#clock.nowMs();
  }
}

/** Pure. @throws MeshError invalid ORDER_INVALID, TOTAL_MISMATCH */
export function priceOrder(request: PlaceOrderRequest, products: ReadonlyMap<string, Product>): PricedOrder {
  const violations: FieldViolation[] = [];
  const lines = request.lines.map(({ sku, quantity }, index): PricedLine => {
    const product = products.get(sku);
    if (product === undefined) violations.push({ field: `lines[${index}].sku`, description: "is no product" });
    return { sku, name: product?.name ?? "", quantity, unitPrice: product?.price };
  });
  if (violations.length > 0) throw new MeshError("invalid", "ORDER_INVALID", "the order is not valid", { violations });
  const [currency = "", ...others] = new Set(lines.map(({ unitPrice }) => unitPrice?.currency ?? ""));
  const minorUnits = lines.reduce(
    (sum, { unitPrice, quantity }) => sum + (unitPrice?.minorUnits ?? 0n) * BigInt(quantity),
    0n,
  );
  if (others.length > 0) throw invalidLines("must all have one currency");
  if (minorUnits > MAX_TOTAL_MINOR) throw invalidLines("cost too much together");
  const expected = request.expectedTotal;
  if (expected !== undefined && (expected.currency !== currency || expected.minorUnits !== minorUnits)) {
    const wrong = [{ field: "expected_total", description: "is not what the lines cost now" }];
    throw new MeshError("invalid", "TOTAL_MISMATCH", "the total is not what the lines cost now", { violations: wrong });
  }
  return { lines, total: { currency, minorUnits } };
}

function invalidLines(description: string): MeshError {
  return new MeshError("invalid", "ORDER_INVALID", "the order is not valid", {
    violations: [{ field: "lines", description }],
  });
}
