/** One direction of a proxied connection: bytes go on at once, later, slowly, or not for now. Their order never changes. */
import type { Socket } from "node:net";
import type { Random } from "@ordermesh/mesh/clock";

/** What a network does to a connection. `Blackhole` keeps what is sent; it arrives when the network is well again, as TCP sends it anew. */
export type Shape =
  | { readonly kind: "Pass" }
  | { readonly kind: "Blackhole" }
  | { readonly kind: "Reset" }
  | { readonly kind: "Latency"; readonly delayMs: number; readonly jitterMs: number }
  | { readonly kind: "Throttle"; readonly bytesPerSecond: number };

type Chunk = { readonly dueMs: number; readonly bytes: Buffer };

/** A sender gets no further with more than this under way, as with a full window. */
const WINDOW_BYTES = 256 * 1024;

export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #random: Random;
  readonly #onShaped: (bytes: number) => void;
  #shape: Shape;
  #queue: Chunk[] = [];
  #queued = 0;
  #lastDueMs = 0;
  #hasEnded = false;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onShaped` is told how many bytes met a shape that is not `Pass`. */
  constructor(from: Socket, to: Socket, shape: Shape, random: Random, onShaped: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#shape = shape;
    this.#random = random;
    this.#onShaped = onShaped;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => {
      this.#hasEnded = true;
      this.#flush();
    });
    to.on("drain", () => {
      this.#isFull = false;
      this.#flush();
    });
  }

  /** Holds for what comes from now on; what was on its way goes on at once, unless it must not go at all. */
  setShape(shape: Shape): void {
    this.#shape = shape;
    const dueMs = shape.kind === "Blackhole" ? Number.POSITIVE_INFINITY : 0;
    this.#queue = this.#queue.map(({ bytes }) => ({ dueMs, bytes }));
    this.#lastDueMs = 0;
    this.#flush();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #take(bytes: Buffer): void {
    if (this.#shape.kind !== "Pass") this.#onShaped(bytes.length);
    this.#lastDueMs = this.#dueMs(bytes.length);
    this.#queue.push({ dueMs: this.#lastDueMs, bytes });
    this.#queued += bytes.length;
    if (this.#queued > WINDOW_BYTES) this.#from.pause();
    this.#flush();
  }

  #dueMs(bytes: number): number {
    const nowMs = performance.now();
    switch (this.#shape.kind) {
      case "Pass":
        return Math.max(nowMs, this.#lastDueMs);
      case "Blackhole":
      case "Reset":
        return Number.POSITIVE_INFINITY;
      case "Latency": {
        const { delayMs, jitterMs } = this.#shape;
        const jitter = (this.#random() * 2 - 1) * jitterMs;
        return Math.max(nowMs + Math.max(0, delayMs + jitter), this.#lastDueMs);
      }
      case "Throttle":
        return Math.max(nowMs, this.#lastDueMs) + (bytes / this.#shape.bytesPerSecond) * 1_000;
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    while (!this.#isFull && this.#queue[0] !== undefined && this.#queue[0].dueMs <= nowMs) this.#send();
    if (this.#queued <= WINDOW_BYTES) this.#from.resume();
    const [next] = this.#queue;
    if (next === undefined) {
      if (this.#hasEnded && this.#shape.kind !== "Blackhole") this.#to.end();
      return;
    }
    if (!this.#isFull && next.dueMs < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#flush(), Math.ceil(next.dueMs - nowMs));
  }

  #send(): void {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return;
    this.#queued -= chunk.bytes.length;
    if (this.#to.writable) this.#isFull = !this.#to.write(chunk.bytes);
  }
}
