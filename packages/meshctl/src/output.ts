/** Rows as columns for people or as JSON for programs. */

export type Format = "table" | "json";
export type Row = Readonly<Record<string, string | number | boolean>>;

export class Output {
  readonly #format: Format;
  readonly #write: (text: string) => void;

  constructor(format: Format, write: (text: string) => void) {
    this.#format = format;
    this.#write = write;
  }

  /** `empty` is said instead of an empty table. */
  rows(rows: readonly Row[], empty: string): void {
    if (this.#format === "json") this.#write(`${JSON.stringify(rows, null, 2)}\n`);
    else this.#write(rows.length === 0 ? `${empty}\n` : tableOf(rows));
  }

  /** One of many that come one after another. */
  line(row: Row, text: string): void {
    this.#write(this.#format === "json" ? `${JSON.stringify(row)}\n` : `${text}\n`);
  }

  document(text: string): void {
    this.#write(text.endsWith("\n") ? text : `${text}\n`);
  }
}

/** Columns in capitals, two blanks between them, as kubectl prints them. */
export function tableOf(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [
    names.map((name) => name.toUpperCase()),
    ...rows.map((row) => names.map((name) => `${row[name] ?? ""}`)),
  ];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const padded = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${padded.join("\n")}\n`;
}
