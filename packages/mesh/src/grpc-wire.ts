/** The gRPC protocol over HTTP/2 as bytes and headers: framing, time-outs, statuses. Pure. */
import { status } from "@grpc/grpc-js";
import { MeshError, NotBegunError } from "./errors.ts";
import { statusError } from "./status.ts";

export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const PREFIX_BYTES = 5;
const MAX_TIMEOUT_DIGITS = 99_999_999;

/** RFC 9113 section 7. */
const RST = { noError: 0, refusedStream: 7, cancel: 8, enhanceYourCalm: 11, inadequateSecurity: 12 };

/** What gRPC makes of an HTTP status that came without a grpc-status. */
const CODE_BY_HTTP_STATUS: Readonly<Record<number, status>> = {
  400: status.INTERNAL,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.UNIMPLEMENTED,
  429: status.UNAVAILABLE,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.UNAVAILABLE,
};

export type HeaderValues = Readonly<Record<string, string | string[] | number | undefined>>;

/** A message with its prefix: not compressed, length. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** The `grpc-timeout` header for a time, at most eight digits; never "0", which some servers take for none. */
export function encodeTimeout(timeoutMs: number): string {
  if (timeoutMs < 1_000) return `${Math.max(1, Math.floor(timeoutMs * 1_000))}u`;
  if (timeoutMs <= MAX_TIMEOUT_DIGITS) return `${Math.floor(timeoutMs)}m`;
  return `${Math.min(MAX_TIMEOUT_DIGITS, Math.floor(timeoutMs / 1_000))}S`;
}

/** Takes a stream's bytes and gives its messages. @throws MeshError internal or exhausted for what is no such stream */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** The messages that `chunk` completes; their bytes are views of what came. */
  push(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (let message = this.#next(); message !== undefined; message = this.#next()) messages.push(message);
    return messages;
  }

  /** True when bytes of an unfinished message are left. */
  get isPartial(): boolean {
    return this.#bytes > 0;
  }

  #next(): Buffer | undefined {
    if (this.#bytes < PREFIX_BYTES) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < PREFIX_BYTES) this.#join();
    const first = this.#chunks[0] as Buffer;
    if (first[0] !== 0) throw statusError(status.INTERNAL, "a compressed message came, which was not asked for");
    const length = first.readUInt32BE(1);
    if (length > MAX_MESSAGE_BYTES)
      throw statusError(status.RESOURCE_EXHAUSTED, `a message of ${length} bytes is larger than ${MAX_MESSAGE_BYTES}`);
    if (this.#bytes < PREFIX_BYTES + length) return undefined;
    if (first.length < PREFIX_BYTES + length) this.#join();
    const whole = this.#chunks[0] as Buffer;
    const rest = whole.subarray(PREFIX_BYTES + length);
    this.#bytes -= PREFIX_BYTES + length;
    if (rest.length === 0) this.#chunks.shift();
    else this.#chunks[0] = rest;
    return whole.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}

/** Why an answer's first headers are no gRPC answer; undefined when they are. */
export function refusalOf(headers: HeaderValues): MeshError | undefined {
  const httpStatus = Number(headers[":status"]);
  const contentType = String(headers["content-type"] ?? "");
  if (httpStatus === 200 && /^application\/grpc(?:$|[+;])/.test(contentType)) return undefined;
  if (headers["grpc-status"] !== undefined) return undefined; // Trailers-only, with whatever else.
  const code = CODE_BY_HTTP_STATUS[httpStatus] ?? status.UNKNOWN;
  return statusError(
    code,
    httpStatus === 200 ? "the answer is not gRPC" : `the answer has the HTTP status ${httpStatus}`,
  );
}

/** The failure in an answer's trailers; undefined for OK. */
export function failureOf(trailers: HeaderValues): MeshError | undefined {
  const text = trailers["grpc-status"];
  if (text === "0") return undefined;
  const code = typeof text === "string" && /^[0-9]{1,2}$/.test(text) ? Number(text) : status.UNKNOWN;
  const details = trailers["grpc-status-details-bin"];
  const bytes = typeof details === "string" ? Buffer.from(details, "base64") : undefined;
  const failure = statusError(code in status ? code : status.UNKNOWN, percentDecode(trailers["grpc-message"]), bytes);
  // A server that shuts down hard cancels; unless we did, that is a lost connection.
  return code === status.CANCELLED ? hungUp() : failure;
}

/** The failure that a stream's reset stands for. */
export function resetError(code: number): MeshError {
  switch (code) {
    case RST.cancel:
      return hungUp();
    case RST.refusedStream:
      return new NotBegunError("the server refused the stream");
    case RST.enhanceYourCalm:
      return statusError(status.RESOURCE_EXHAUSTED, "the server wants fewer calls");
    case RST.inadequateSecurity:
      return statusError(status.PERMISSION_DENIED, "the server wants a safer connection");
    case RST.noError:
      return statusError(status.UNKNOWN, "the answer ended without a status");
    default:
      return statusError(status.INTERNAL, `the server reset the stream with code ${code}`);
  }
}

function hungUp(): MeshError {
  return new MeshError("unavailable", "TRANSPORT_CANCELLED", "the server hung up");
}

function percentDecode(text: unknown): string {
  if (typeof text !== "string") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
