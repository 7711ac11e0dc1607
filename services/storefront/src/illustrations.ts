/** A small drawing for each product, as SVG paths on a 64 by 64 grid. Pure. */

const BOX = '<path d="M12 22 32 12l20 10v22L32 54 12 44zM12 22l20 10 20-10M32 32v22"/>';

const DRAWINGS: Readonly<Record<string, string>> = {
  CABLE: '<path d="M14 14v8a6 6 0 0 0 6 6h10a8 8 0 0 1 0 16H20a6 6 0 0 0 0 12h30M10 8h8v8h-8zM50 52h6v8h-6z"/>',
  CAP: '<path d="M12 40a20 20 0 0 1 40 0zM12 40c-4 2-6 4-6 6h34c8 0 14-2 18-6M32 20v-4M32 20c-6 4-9 12-9 20"/>',
  GONE: '<path d="M16 10h26l6 6v38H16zM24 22h16M24 30h16M24 38h10"/><path d="m36 42 12 12M48 42 36 54"/>',
  LAMP: '<path d="M22 54h24M34 54V38M34 38 18 26M18 26l8-14 14 8-8 14z"/><path d="m40 34 6 6M46 26h8"/>',
  MUG: '<path d="M14 20h28v24a8 8 0 0 1-8 8H22a8 8 0 0 1-8-8zM42 26h4a6 6 0 0 1 0 14h-4M22 14c0-3 3-3 3-6M32 14c0-3 3-3 3-6"/>',
  NOTE: '<path d="M16 10h32v44H16zM22 10v44M28 20h14M28 28h14M28 36h8"/>',
  PEN: '<path d="m14 50 4-12L44 12l8 8-26 26zM38 18l8 8M18 38l8 8"/>',
  PLANT:
    '<path d="M22 42h20l-3 14H25zM32 42V24M32 30c-10 0-14-6-14-14 9 0 14 5 14 14zM32 26c0-8 5-13 14-13 0 9-5 13-14 13z"/>',
  POSTER:
    '<path d="M14 10h36v44H14z"/><circle cx="24" cy="22" r="3"/><circle cx="40" cy="28" r="3"/><circle cx="26" cy="42" r="3"/><path d="m27 23 10 4M38 31l-9 9M24 25l2 14"/>',
  SCARCE: '<path d="M14 52h36l-6-10H20zM20 42a12 12 0 1 1 24 0M28 22l4-4 4 4M32 18v-6"/>',
  SOCKS: '<path d="M22 8h14v24L24 46a7 7 0 0 1-10-10l8-8zM22 16h14M36 12h10v24L34 50a7 7 0 0 1-8 1"/>',
  TOTE: '<path d="M14 24h36l-3 30H17zM24 30V18a8 8 0 0 1 16 0v12"/>',
};

/** Inner SVG for a product; a box for one that has no drawing. */
export function drawingOf(sku: string): string {
  return DRAWINGS[sku.split("-")[0] ?? ""] ?? BOX;
}

/** One of twelve colours, always the same for a product. */
export function hueOf(sku: string): number {
  return [...sku].reduce((sum, character) => sum + character.charCodeAt(0), 0) % 12;
}
