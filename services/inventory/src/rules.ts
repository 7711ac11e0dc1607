/** What a valid stock command is. Pure. */
import { type FieldViolation, MeshError } from "@ordermesh/mesh/errors";
import type { StockLine } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { isUuid } from "@ordermesh/runtime/ids";

const MAX_LINES = 100;
const MAX_QUANTITY = 1_000;
const SKU = /^[A-Z0-9-]{1,64}$/;

/** @throws MeshError invalid ORDER_ID_INVALID */
export function checkOrderId(orderId: string): void {
  if (isUuid(orderId)) return;
  const violations = [{ field: "order_id", description: "must be a UUID in lower case" }];
  throw new MeshError("invalid", "ORDER_ID_INVALID", "order_id must be a UUID in lower case", { violations });
}

/** @throws MeshError invalid STOCK_LINES_INVALID with every violation */
export function checkLines(lines: readonly StockLine[]): void {
  const violations: FieldViolation[] = [];
  if (lines.length === 0 || lines.length > MAX_LINES)
    violations.push({ field: "lines", description: `must have 1 to ${MAX_LINES} lines` });
  const seen = new Set<string>();
  for (const [index, { sku, quantity }] of lines.slice(0, MAX_LINES).entries()) {
    const field = `lines[${index}]`;
    if (!SKU.test(sku)) violations.push({ field: `${field}.sku`, description: "must be 1 to 64 of A-Z, 0-9 and -" });
    if (seen.has(sku)) violations.push({ field: `${field}.sku`, description: "must not repeat an earlier line" });
    if (quantity < 1 || quantity > MAX_QUANTITY)
      violations.push({ field: `${field}.quantity`, description: `must be 1 to ${MAX_QUANTITY}` });
    seen.add(sku);
  }
  if (violations.length > 0)
    throw new MeshError("invalid", "STOCK_LINES_INVALID", "the lines are not valid", { violations });
}
