/** The cart as a list of SKU and quantity, kept in a signed cookie. Pure. */

export type CartLine = { readonly sku: string; readonly quantity: number };

export const MAX_QUANTITY = 99;
const MAX_LINES = 20;
const LINE = /^([A-Z0-9-]{1,64}):([1-9]\d?)$/;

/** Reads `SKU:quantity` items separated by dots; anything else in it is left out. */
export function parseCart(text: string | undefined): CartLine[] {
  const lines = (text ?? "").split(".").flatMap((item) => {
    const match = LINE.exec(item);
    return match === null ? [] : [{ sku: match[1] ?? "", quantity: Number(match[2]) }];
  });
  return lines.slice(0, MAX_LINES);
}

export function formatCart(lines: readonly CartLine[]): string {
  return lines.map(({ sku, quantity }) => `${sku}:${quantity}`).join(".");
}

/** The cart with `quantity` of a product; 0 takes it out. */
export function setQuantity(lines: readonly CartLine[], sku: string, quantity: number): CartLine[] {
  const bounded = Math.min(Math.max(Math.trunc(quantity) || 0, 0), MAX_QUANTITY);
  const others = lines.filter((line) => line.sku !== sku);
  if (bounded === 0) return others;
  const index = lines.findIndex((line) => line.sku === sku);
  return index === -1
    ? [...lines, { sku, quantity: bounded }].slice(0, MAX_LINES)
    : lines.map((line) => (line.sku === sku ? { sku, quantity: bounded } : line));
}

export function addOne(lines: readonly CartLine[], sku: string): CartLine[] {
  return setQuantity(lines, sku, (lines.find((line) => line.sku === sku)?.quantity ?? 0) + 1);
}
