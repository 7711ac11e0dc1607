/** The client's own record of a run: one JSON line for each thing it began or learnt. Pure. */

/**
 * `ok`: the system answered that it has done it. `fail`: it definitely refused. `info`: nobody knows, as after a time-out or a
 * broken connection; the operation may have happened.
 */
export type Phase = "invoke" | "ok" | "fail" | "info";

export type Operation = {
  /** Milliseconds since the run began. */
  readonly atMs: number;
  /** `place`: an order under a key; `replay`: the same request again; `reuse`: the key with another body; `read`: the order. */
  readonly op: "place" | "replay" | "reuse" | "read";
  readonly phase: Phase;
  readonly key: string;
  readonly orderId?: string;
  readonly httpStatus?: number;
  readonly status?: string;
  readonly reason?: string;
  /** Of `place` when it ended: from the intended start, so that waiting for a slow system counts. */
  readonly latencyMs?: number;
};

const OPS = new Set(["place", "replay", "reuse", "read"]);
const PHASES = new Set(["invoke", "ok", "fail", "info"]);

/** @throws Error that names the line */
export function parseHistory(text: string): Operation[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line, index) => {
    const operation = parseLine(line, index + 1);
    const { atMs, op, phase, key } = operation;
    if (typeof atMs !== "number" || typeof key !== "string" || !OPS.has(op) || !PHASES.has(phase))
      throw new Error(`line ${index + 1} of the history is no operation`);
    return operation;
  });
}

function parseLine(line: string, number: number): Operation {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Error(`line ${number} of the history is not JSON`, { cause: error });
  }
}
