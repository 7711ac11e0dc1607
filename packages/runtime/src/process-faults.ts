/** What experiments do to a process from inside, as nobody has the right to do it from outside. Only where failpoints are allowed. */
import { Socket } from "node:net";
import { z } from "zod";

const SLICE_MS = 100;
const MAX_STALL_MS = 120_000;

const stallRequest = z.strictObject({
  forMs: z.int().min(0).max(MAX_STALL_MS).describe("0 ends one that goes on"),
  share: z.number().gt(0).max(1).describe("Of the time in which nothing runs; 1 is a process that stands still"),
});
const breakRequest = z.strictObject({ ports: z.array(z.int().min(1).max(65_535)).min(1).max(16) });

const never = new Int32Array(new SharedArrayBuffer(4));
let stoodMs = 0;
let slices: NodeJS.Timeout | undefined;

/** Milliseconds that this process has stood still in all. */
export function stalled(): { readonly stoodMs: number } {
  return { stoodMs: Math.round(stoodMs) };
}

/**
 * Begins a little later, so that the request can be answered; ends by itself. One that stands still cannot be ended sooner.
 * @throws Error that says what is wrong with the request
 */
export function stall(body: string): void {
  const { forMs, share } = read(stallRequest, body);
  clearInterval(slices);
  if (forMs === 0) return;
  if (share === 1) {
    slices = setTimeout(() => stand(forMs), SLICE_MS);
    return;
  }
  const endsMs = performance.now() + forMs;
  slices = setInterval(() => {
    if (performance.now() >= endsMs) clearInterval(slices);
    else stand(SLICE_MS * share);
  }, SLICE_MS);
}

/** No timer, no answer, no lease is renewed; the kernel takes what comes for open connections, as after SIGSTOP. */
function stand(ms: number): void {
  const beganMs = performance.now();
  Atomics.wait(never, 0, 0, ms);
  stoodMs += performance.now() - beganMs;
}

/** Connections that this process has opened and that are still open, since `followConnections`. */
const opened = new Set<Socket>();

/** Nothing in Node lists all sockets: one without a call is not active, and one with TLS is announced nowhere. Called once, before the first. */
export function followConnections(): void {
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function follow(this: Socket, ...args: unknown[]) {
    opened.add(this);
    this.once("close", () => opened.delete(this));
    return Reflect.apply(connect, this, args);
  } as typeof connect;
}

/** Breaks the connections that this process has opened to these ports. @throws Error that says what is wrong with the request */
export function breakConnections(body: string): { readonly broken: number } {
  const { ports } = read(breakRequest, body);
  const open = [...opened].filter(({ remotePort, destroyed }) => !destroyed && ports.includes(remotePort ?? 0));
  for (const socket of open) socket.destroy(new Error("broken by an experiment"));
  return { broken: open.length };
}

function read<T>(schema: z.ZodType<T>, body: string): T {
  const parsed = schema.safeParse(parseJson(body));
  if (parsed.success) return parsed.data;
  throw new Error(
    parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the body"}: ${message}`).join("; "),
  );
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new Error("the body must be JSON");
  }
}
