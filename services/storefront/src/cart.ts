/** The cart as a list of SKU and quantity, written as `SKU:quantity` items between dots. Pure. */

export type CartLine = { readonly sku: string; readonly quantity: number };

const MAX_QUANTITY = 99;
const MAX_LINES = 20;
const ITEM = /^([A-Z0-9-]{1,64}):([1-9]\d?)$/;

/** Leaves out what is no item, and what is too much. */
export function parseCart(text: string): CartLine[] {
  const lines = text.split(".").flatMap((item) => {
    const [, sku = "", quantity] = ITEM.exec(item) ?? [];
    return quantity === undefined ? [] : [{ sku, quantity: Number(quantity) }];
  });
  return lines.slice(0, MAX_LINES);
}

export function formatCart(lines: readonly CartLine[]): string {
  return lines.map(({ sku, quantity }) => `${sku}:${quantity}`).join(".");
}

/** The cart with `quantity` of a product, at most 99; 0 takes it out. A full cart takes no other product. */
export function setQuantity(lines: readonly CartLine[], sku: string, quantity: number): CartLine[] {
  const line = { sku, quantity: Math.min(quantity, MAX_QUANTITY) };
  if (quantity === 0) return lines.filter((other) => other.sku !== sku);
  if (lines.some((other) => other.sku === sku)) return lines.map((other) => (other.sku === sku ? line : other));
  return [...lines, line].slice(0, MAX_LINES);
}

export function addOne(lines: readonly CartLine[], sku: string): CartLine[] {
  return setQuantity(lines, sku, (lines.find((line) => line.sku === sku)?.quantity ?? 0) + 1);
}
