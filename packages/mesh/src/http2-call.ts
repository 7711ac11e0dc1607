/** One call over an HTTP/2 session: its stream from the request's headers to the answer's trailers. */
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { Attempt } from "./connection.ts";
import { MeshError, NotBegunError } from "./errors.ts";
import { encodeTimeout, FrameReader, failureOf, frame, type HeaderValues, refusalOf, resetError } from "./grpc-wire.ts";
import { statusError } from "./status.ts";

const RST_REFUSED = 7;
const RST_CANCEL = 8;
/** Timers cannot be set for longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Report = (failure: MeshError | undefined, answer?: unknown) => void;

/** `report` is called once, unless the call could not begin. @throws MeshError when it could not */
export function unaryOver(session: ClientHttp2Session, authority: string, attempt: Attempt, report: Report): void {
  const exchange = new Exchange(session, authority, attempt);
  const reader = new FrameReader();
  const messages: Buffer[] = [];
  exchange.stream.on("data", (chunk: Buffer) => {
    try {
      if (!exchange.isRefused) messages.push(...reader.push(chunk));
    } catch (error) {
      exchange.fail(error as MeshError);
    }
  });
  exchange.onEnd((failure) => {
    exchange.letGo();
    const [message] = messages;
    if (failure !== undefined) report(failure);
    else if (message === undefined || messages.length > 1 || reader.isPartial) report(notOneMessage(messages.length));
    else
      try {
        report(undefined, decode(attempt, message));
      } catch (error) {
        report(error as MeshError);
      }
  });
}

/** Reads no faster than its reader; leaving the loop cancels. @throws MeshError */
export async function* streamOver(
  session: ClientHttp2Session,
  authority: string,
  attempt: Attempt,
): AsyncIterable<unknown> {
  const exchange = new Exchange(session, authority, attempt);
  const { promise: ended, resolve: end } = Promise.withResolvers<MeshError | undefined>();
  exchange.onEnd(end);
  const reader = new FrameReader();
  try {
    try {
      for await (const chunk of exchange.stream) {
        if (exchange.isRefused) continue;
        for (const message of reader.push(chunk as Buffer)) yield decode(attempt, message);
      }
    } catch (error) {
      if (error instanceof MeshError) throw error; // Else the stream broke, and how it ended says why.
    }
    const failure = await ended;
    if (failure !== undefined) throw failure;
    if (reader.isPartial) throw statusError(status.INTERNAL, "the answer ended within a message");
  } finally {
    exchange.cancel();
  }
}

/** What unary calls and streams share: request, deadline, cancellation, and how it ended. */
class Exchange {
  readonly stream: ClientHttp2Stream;
  /** The answer is not gRPC; its body is of no interest. */
  isRefused = false;
  readonly #attempt: Attempt;
  readonly #timer: NodeJS.Timeout | undefined;
  #failure: MeshError | undefined;
  #trailers: HeaderValues | undefined;
  #report: ((failure: MeshError | undefined) => void) | undefined;

  constructor(session: ClientHttp2Session, authority: string, attempt: Attempt) {
    this.#attempt = attempt;
    this.stream = open(session, authority, attempt);
    const { stream } = this;
    if (attempt.timeoutMs <= MAX_TIMER_MS)
      this.#timer = setTimeout(() => this.fail(deadlineExceeded()), Math.ceil(attempt.timeoutMs));
    attempt.signal?.addEventListener("abort", this.#onAbort);
    stream.on("response", (headers) => this.#onResponse(headers as HeaderValues));
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers as HeaderValues;
    });
    stream.on("error", () => undefined); // `close` follows and knows the code.
    stream.on("end", () => {
      if (this.#trailers !== undefined) this.#finish(this.#failure ?? failureOf(this.#trailers));
    });
    stream.on("close", () => this.#finish(this.#failure ?? this.#failureAtClose(session)));
  }

  /** `report` is called once: with undefined when the status is OK. */
  onEnd(report: (failure: MeshError | undefined) => void): void {
    this.#report = report;
  }

  /** Ends the call with `failure`, unless it has ended. */
  fail(failure: MeshError): void {
    this.#failure ??= failure;
    this.#finish(this.#failure);
    this.cancel();
  }

  cancel(): void {
    this.#finish(this.#failure);
    if (!this.stream.closed) this.stream.close(RST_CANCEL);
  }

  /** Node keeps a stream until a whole garbage collection; what hangs on it need not stay as long. Not for streams that are read on. */
  letGo(): void {
    for (const name of ["data", "response", "trailers", "end", "close"]) this.stream.removeAllListeners(name);
  }

  readonly #onAbort = () => this.fail(statusError(status.CANCELLED, "the caller cancelled the call"));

  #onResponse(headers: HeaderValues): void {
    if (headers["grpc-status"] !== undefined) this.#trailers = headers;
    this.#failure ??= refusalOf(headers);
    this.isRefused = this.#failure !== undefined;
    if (this.isRefused) this.stream.resume();
  }

  #failureAtClose(session: ClientHttp2Session): MeshError | undefined {
    if (this.#trailers !== undefined) return failureOf(this.#trailers);
    const { rstCode } = this.stream;
    if (session.destroyed && rstCode !== RST_REFUSED) return connectionLost();
    return resetError(rstCode);
  }

  #finish(failure: MeshError | undefined): void {
    const report = this.#report;
    if (report === undefined) return;
    this.#report = undefined;
    clearTimeout(this.#timer);
    this.#attempt.signal?.removeEventListener("abort", this.#onAbort);
    report(failure);
  }
}

function open(session: ClientHttp2Session, authority: string, attempt: Attempt): ClientHttp2Stream {
  const headers = [
    ":method",
    "POST",
    ":scheme",
    session.encrypted ? "https" : "http",
    ":path",
    attempt.path,
    ":authority",
    authority,
    "te",
    "trailers",
    "content-type",
    "application/grpc",
  ];
  for (const name in attempt.headers) headers.push(name, attempt.headers[name] ?? "");
  if (Number.isFinite(attempt.timeoutMs)) headers.push("grpc-timeout", encodeTimeout(attempt.timeoutMs));
  const message = frame(attempt.method.requestType.encode(attempt.request).finish());
  try {
    const stream = session.request(headers);
    stream.end(message);
    return stream;
  } catch {
    throw new NotBegunError("the connection was lost"); // Between two events of the session.
  }
}

function decode({ method }: Attempt, message: Buffer): unknown {
  try {
    return method.responseType.decode(message);
  } catch {
    throw malformed();
  }
}

function malformed(): MeshError {
  return statusError(status.INTERNAL, "the answer is not a valid message");
}

function connectionLost(): MeshError {
  return statusError(status.UNAVAILABLE, "the connection was lost");
}

/** The code that grpc-js has for it. */
function notOneMessage(count: number): MeshError {
  return statusError(status.UNIMPLEMENTED, `a unary call was answered with ${count} messages`);
}

function deadlineExceeded(): MeshError {
  return statusError(status.DEADLINE_EXCEEDED, "Deadline exceeded");
}
