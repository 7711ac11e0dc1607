/** A small drawing for each product, as SVG on a 64 by 64 grid: filled shapes (`class="f"`) under outlines. Pure. */

const BOX =
  '<path class="f" d="M12 23 32 13l20 10v20L32 53 12 43z"/><path d="M12 23 32 13l20 10v20L32 53 12 43zM12 23l20 10 20-10M32 33v20M22 18l20 10v6"/>';

const DRAWINGS: Readonly<Record<string, string>> = {
  CABLE:
    '<circle class="f" cx="32" cy="36" r="17"/><circle cx="32" cy="36" r="17"/><circle cx="32" cy="36" r="11"/><path d="M49 36c0 12 2 17 7 18M15 36c0-14 1-20 7-22M22 10h9v8h-9zM31 12h5M31 16h5M26 47v6M38 47v6"/>',
  CAP: '<path class="f" d="M10 26c0-8 10-13 22-13s22 5 22 13c0 4-4 7-8 8H18c-4-1-8-4-8-8z"/><path d="M10 26c0-8 10-13 22-13s22 5 22 13c0 4-4 7-8 8H18c-4-1-8-4-8-8zM18 34v7h28v-7M14 44c4-2 10-3 18-3s14 1 18 3c-3 5-10 8-18 8s-15-3-18-8z"/><circle cx="32" cy="26" r="4"/>',
  GONE: '<path class="f" d="M16 12h30a4 4 0 0 1 4 4v36H20a4 4 0 0 1-4-4z"/><path d="M16 48V14a4 4 0 0 1 4-4h30v34H20a4 4 0 0 0 0 8h30v-8M38 10v16l-4-3-4 3V10M22 34h20"/>',
  LAMP: '<path class="f" d="m36 26 18 9-5 19H22z"/><path d="M12 54h20M22 54V50L14 34l17-15M26 16l8-8 12 12-9 9zM22 54"/><circle cx="14" cy="34" r="2.5"/><path d="M45 29l7 4M40 33l3 7"/>',
  MUG: '<path class="f" d="M14 22h28v22a8 8 0 0 1-8 8H22a8 8 0 0 1-8-8z"/><path d="M14 22h28v22a8 8 0 0 1-8 8H22a8 8 0 0 1-8-8zM42 27h4a7 7 0 0 1 0 14h-4M14 29h28M22 16c0-4 3-4 3-8M32 16c0-4 3-4 3-8"/>',
  NOTE: '<path class="f" d="M18 10h30a2 2 0 0 1 2 2v40a2 2 0 0 1-2 2H18z"/><path d="M18 10h30a2 2 0 0 1 2 2v40a2 2 0 0 1-2 2H18zM13 18h9M13 28h9M13 38h9M13 48h9"/><path d="M29 20h.1M36 20h.1M43 20h.1M29 28h.1M36 28h.1M43 28h.1M29 36h.1M36 36h.1M43 36h.1" stroke-width="3"/>',
  PEN: '<path class="f" d="M40 12 52 24 26 50l-16 4 4-16z"/><path d="M40 12 52 24 26 50l-16 4 4-16zM34 18l12 12M14 38l12 12M10 54l7-7M44 8l12 12"/>',
  PLANT:
    '<path class="f" d="M20 42h24l-3 14H23zM32 28c-11 0-16-6-16-15 11 0 16 6 16 15zM32 23c0-9 5-14 16-14 0 10-6 14-16 14z"/><path d="M20 42h24l-3 14H23zM32 42V18M32 28c-11 0-16-6-16-15 11 0 16 6 16 15zM32 23c0-9 5-14 16-14 0 10-6 14-16 14zM32 38c0-6 4-9 12-9 0 6-4 9-12 9z"/>',
  POSTER:
    '<path class="f" d="M15 10h34v44H15z"/><path d="M15 10h34v44H15zM25 23l14 6M39 29 27 42M25 23l2 19M30 48h4"/><circle cx="24" cy="22" r="3.5"/><circle cx="41" cy="29" r="3.5"/><circle cx="27" cy="42" r="3.5"/><path d="M32 10V6"/>',
  SCARCE:
    '<path class="f" d="M20 18h24l8 14-20 20-20-20z"/><path d="M20 18h24l8 14-20 20-20-20zM12 32h40M26 32l6 20 6-20M20 18l6 14 6-14 6 14 6-14M14 56h36M32 12V8M20 13l-2-3M44 13l2-3"/>',
  SOCKS:
    '<path class="f" d="M16 10h14v24L18 48a7 7 0 0 1-10-10l8-9zM38 10h14v24L40 48a7 7 0 0 1-10-10l8-9z"/><path d="M16 10h14v24L18 48a7 7 0 0 1-10-10l8-9zM16 17h14M38 10h14v24L40 48a7 7 0 0 1-10-10l8-9zM38 17h14M11 36l9 9M33 36l9 9"/>',
  TOTE: '<path class="f" d="M13 24h38l-3 30H16z"/><path d="M13 24h38l-3 30H16zM23 31V18a9 9 0 0 1 18 0v13M26 46l6-9 6 9z"/>',
};

/** Inner SVG for a product; a box for one that has no drawing. */
export function drawingOf(sku: string): string {
  return DRAWINGS[sku.split("-")[0] ?? ""] ?? BOX;
}

/** One of twelve colours, always the same for a product. */
export function hueOf(sku: string): number {
  return [...sku].reduce((hash, character) => (hash * 29 + character.charCodeAt(0)) % 1009, 1) % 12;
}
