/** HTML and SVG as a template: what is put in is text unless it is markup itself. Pure. */

export class Markup {
  readonly text: string;

  /** Takes the text as it is; everything else comes from `html`. */
  constructor(text: string) {
    this.text = text;
  }
}

type Value = string | number | Markup | undefined | readonly (Markup | string | number)[];

/** Values may stand in elements and in quoted attributes, but not in scripts, styles or URLs. Undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return new Markup(strings.reduce((text, part, index) => `${text}${textOf(values[index - 1])}${part}`));
}

function textOf(value: Value): string {
  if (value === undefined) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "string" || typeof value === "number") return escaped(String(value));
  return value.map(textOf).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
