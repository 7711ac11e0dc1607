/** JSON as operators write it, read strictly: no comments, no trailing commas, no key twice, nothing deep or large. Pure. */
import { type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { MeshError } from "./errors.ts";

const MAX_CHARACTERS = 64 * 1024;
const MAX_DEPTH = 16;
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/** The object that `text` holds. @throws MeshError invalid DOCUMENT_INVALID, which says where and never quotes the text */
export function parseStrictly(text: string): Record<string, unknown> {
  if (text.length > MAX_CHARACTERS) throw invalid(`the document is longer than ${MAX_CHARACTERS} characters`);
  const errors: ParseError[] = [];
  const tree = treeOf(text, errors);
  const [error] = errors;
  if (error !== undefined) throw invalid(`${printParseErrorCode(error.error)} at ${placeOf(text, error.offset)}`);
  if (tree?.type !== "object") throw invalid("the document must be a JSON object");
  const value = toValue(tree, text, 1);
  return value as Record<string, unknown>;
}

function treeOf(text: string, errors: ParseError[]): Node | undefined {
  try {
    return parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  } catch {
    throw invalid("the document is nested too deeply"); // Deeper than the parser's stack.
  }
}

function toValue(node: Node, text: string, depth: number): unknown {
  if (depth > MAX_DEPTH) throw invalid(`the document is nested deeper than ${MAX_DEPTH}`);
  const { children = [] } = node;
  if (node.type === "array") return children.map((child) => toValue(child, text, depth + 1));
  if (node.type === "object") return objectOf(children, text, depth);
  if (typeof node.value === "number" && !Number.isFinite(node.value))
    throw invalid(`a number is too large at ${placeOf(text, node.offset)}`);
  return node.value;
}

function objectOf(properties: readonly Node[], text: string, depth: number): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { children: [key, value] = [], offset } of properties) {
    const name = String(key?.value);
    if (FORBIDDEN_KEYS.has(name)) throw invalid(`a key has a forbidden name at ${placeOf(text, offset)}`);
    if (Object.hasOwn(found, name)) throw invalid(`a key comes twice at ${placeOf(text, offset)}`);
    if (value !== undefined) found[name] = toValue(value, text, depth + 1);
  }
  return found;
}

function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
}

function invalid(message: string): MeshError {
  return new MeshError("invalid", "DOCUMENT_INVALID", message);
}
