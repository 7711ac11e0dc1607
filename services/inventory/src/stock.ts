/** Stock in PostgreSQL: one statement for each command, all or nothing, and the same answer when it is repeated. */
import { MeshError } from "@ordermesh/mesh/errors";
import type { Product, StockLine } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { failpoint } from "@ordermesh/runtime/failpoints";
import { constraintOf, type Database, sql } from "@ordermesh/runtime/postgres";

type State = "RESERVED" | "COMMITTED" | "RELEASED";

const LIST = sql(
  "stock_list",
  `SELECT sku, name, description, price_minor, currency, available FROM products JOIN stock USING (sku) ORDER BY sku`,
);

/**
 * Rows are locked in the order of their SKU, so that two orders never wait for each other. The check constraint refuses
 * what is not there, and takes the whole statement back.
 */
const RESERVE = sql(
  "stock_reserve",
  `WITH wanted AS (SELECT * FROM unnest($2::text[], $3::int[]) AS w(sku, quantity)),
   locked AS (SELECT sku FROM stock WHERE sku = ANY($2::text[]) ORDER BY sku FOR UPDATE),
   made AS (INSERT INTO reservations (order_id, state, skus, quantities)
     SELECT $1, 'RESERVED', $2, $3 WHERE (SELECT count(*) FROM locked) = cardinality($2::text[])
     ON CONFLICT DO NOTHING RETURNING order_id),
   taken AS (UPDATE stock s SET available = s.available - w.quantity, reserved = s.reserved + w.quantity
     FROM made, wanted w WHERE s.sku = w.sku RETURNING s.sku)
   SELECT (SELECT count(*) FROM locked) = cardinality($2::text[]) AS known, EXISTS (SELECT FROM made) AS made,
     (SELECT count(*) FROM taken) AS taken`,
);
const FIND = sql("stock_find_reservation", "SELECT state, skus, quantities FROM reservations WHERE order_id = $1");
const COMMIT = sql(
  "stock_commit",
  `WITH was AS (SELECT state FROM reservations WHERE order_id = $1),
   changed AS (UPDATE reservations SET state = 'COMMITTED' WHERE order_id = $1 AND state = 'RESERVED'
     RETURNING skus, quantities),
   wanted AS (SELECT w.* FROM changed, unnest(skus, quantities) AS w(sku, quantity)),
   locked AS (SELECT sku FROM stock WHERE sku IN (SELECT sku FROM wanted) ORDER BY sku FOR UPDATE),
   sold AS (UPDATE stock s SET reserved = s.reserved - w.quantity, sold = s.sold + w.quantity
     FROM wanted w JOIN locked USING (sku) WHERE s.sku = w.sku)
   SELECT state FROM was`,
);
const RELEASE = sql(
  "stock_release",
  `WITH was AS (SELECT state FROM reservations WHERE order_id = $1),
   changed AS (INSERT INTO reservations AS r (order_id, state) VALUES ($1, 'RELEASED')
     ON CONFLICT (order_id) DO UPDATE SET state = 'RELEASED' WHERE r.state = 'RESERVED'
     RETURNING skus, quantities),
   wanted AS (SELECT w.* FROM changed, unnest(skus, quantities) AS w(sku, quantity)),
   locked AS (SELECT sku FROM stock WHERE sku IN (SELECT sku FROM wanted) ORDER BY sku FOR UPDATE),
   returned AS (UPDATE stock s SET reserved = s.reserved - w.quantity, available = s.available + w.quantity
     FROM wanted w JOIN locked USING (sku) WHERE s.sku = w.sku)
   SELECT (SELECT state FROM was) AS state, EXISTS (SELECT FROM changed) AS changed`,
);

type ProductRow = {
  sku: string;
  name: string;
  description: string;
  price_minor: bigint;
  currency: string;
  available: number;
};

export class Stock {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<Product[]> {
    const rows = await this.#db.query<ProductRow>(LIST);
    return rows.map(({ price_minor, currency, ...product }) => ({
      ...product,
      price: { currency, minorUnits: price_minor },
    }));
  }

  /** @throws MeshError precondition OUT_OF_STOCK, RESERVATION_RELEASED; invalid SKU_UNKNOWN, RESERVATION_MISMATCH */
  async reserve(orderId: string, lines: readonly StockLine[]): Promise<void> {
    const skus = lines.map(({ sku }) => sku);
    const quantities = lines.map(({ quantity }) => quantity);
    const reserving = this.#db.query<{ known: boolean; made: boolean }>(RESERVE, orderId, skus, quantities);
    try {
      const [[row]] = await Promise.all([reserving, failpoint("inventory.reserveSent")]);
      if (row?.known === false)
        throw new MeshError("invalid", "SKU_UNKNOWN", "a line names a product that does not exist");
      if (row?.made === true) return;
    } catch (error) {
      if (constraintOf(error) !== "stock_available") throw error;
      throw new MeshError("precondition", "OUT_OF_STOCK", "there is not enough of a product", { cause: error });
    }
    await this.#checkRepeated(orderId, lines);
  }

  /** @throws MeshError precondition RESERVATION_UNKNOWN, RESERVATION_RELEASED */
  async commit(orderId: string): Promise<void> {
    const [row] = await this.#db.query<{ state: State }>(COMMIT, orderId);
    if (row === undefined)
      throw new MeshError("precondition", "RESERVATION_UNKNOWN", "nothing is reserved for the order");
    if (row.state === "RELEASED") throw released();
  }

  /** @throws MeshError precondition RESERVATION_COMMITTED */
  async release(orderId: string): Promise<void> {
    const [row] = await this.#db.query<{ state: State | null; changed: boolean }>(RELEASE, orderId);
    await failpoint("inventory.released");
    if (row?.state === "COMMITTED")
      throw new MeshError("precondition", "RESERVATION_COMMITTED", "the stock was taken for good");
  }

  async #checkRepeated(orderId: string, lines: readonly StockLine[]): Promise<void> {
    const [found] = await this.#db.query<{ state: State; skus: string[]; quantities: number[] }>(FIND, orderId);
    if (found?.state === "RELEASED") throw released();
    const reserved = new Map(found?.skus.map((sku, index) => [sku, found.quantities[index]]));
    if (reserved.size === lines.length && lines.every(({ sku, quantity }) => reserved.get(sku) === quantity)) return;
    throw new MeshError("invalid", "RESERVATION_MISMATCH", "the order has reserved other lines before");
  }
}

function released(): MeshError {
  return new MeshError("precondition", "RESERVATION_RELEASED", "the order's reservation was released");
}
