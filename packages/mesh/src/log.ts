/** What the mesh needs of a logger; pino's loggers fit. */

type Write = (facts: Record<string, unknown>, message: string) => void;

export type MeshLog = { readonly debug: Write; readonly info: Write; readonly warn: Write; readonly error: Write };
