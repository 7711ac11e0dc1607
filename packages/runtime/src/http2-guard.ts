/**
 * What grpc-js would let a client do for ever or not at all: requests that never end, answers that nobody takes, pings
 * without end. grpc-js hides its HTTP/2 server, so this reaches into it; test/hostile-connections.test.ts fails when that is gone.
 */
import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Clock } from "@ordermesh/mesh/clock";
import { TokenBucket } from "@ordermesh/mesh/token-bucket";

export type ServerLimits = {
  /** For a request to arrive in full. */
  readonly requestMs: number;
  /** For a unary call to be over, the reading of its answer included; longer than any deadline. */
  readonly unaryMs: number;
  /** For the reader of a stream to take a message. */
  readonly stalledMs: number;
  /** Names and values of all of a request's headers. */
  readonly headerBytes: number;
  readonly connections: number;
};

export const SERVER_LIMITS: ServerLimits = {
  requestMs: 20_000,
  unaryMs: 45_000,
  stalledMs: 30_000,
  headerBytes: 16 * 1024,
  connections: 2_000,
};

/** Pings and changes of settings of one connection; estimators of bandwidth ping in bursts, so more than keepalive needs. */
const CONTROL_FRAMES = { perSecond: 100, burst: 1_000 };
/**
 * Calls of one connection that their caller gives up. Callers give up by the hundred each second when a server is slow, and
 * nghttp2 by itself would end the connection at 33 a second, and with it the calls that go well.
 */
const RESETS = { streamResetRate: 1_000, streamResetBurst: 4_000 };
/** What grpc-js can hold: it computes deadlines in 32 bits. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MS_BY_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** grpc-js takes whatever begins like it, gRPC-Web too. */
const GRPC = /^application\/grpc(?:$|[+;])/;

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants;

type Dispatch = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => void;
type Kind = "unary" | "server-stream" | "other";

/** Has to be called before `server` has its HTTP/2 server, which is made with these options. */
export function boundResets(server: Server): void {
  const { commonServerOptions } = server as unknown as { readonly commonServerOptions: object };
  Object.assign(commonServerOptions, RESETS);
}

/** Has to be called once `server` has its HTTP/2 server, which a connection injector makes. */
export function guardHttp2(server: Server, clock: Clock, limits: ServerLimits, kindOf: (path: string) => Kind): void {
  const { http2Servers } = server as unknown as { readonly http2Servers: ReadonlyMap<Http2Server, unknown> };
  for (const http2 of http2Servers.keys()) {
    const [dispatch] = http2.listeners("stream") as [Dispatch];
    http2.removeAllListeners("stream");
    http2.on("stream", (stream, headers, flags, raw: string[]) => {
      const refusal = refusalOf(headers, raw, limits);
      if (refusal !== undefined) return refuse(stream, refusal);
      boundTimeout(headers);
      if (!GRPC.test(headers["content-type"] ?? "")) headers["content-type"] = ""; // So that grpc-js answers 415.
      dispatch.call(http2, stream, headers, flags, raw);
      forgetCancelled(stream);
      boundCall(stream, limits, kindOf(String(headers[":path"])));
      if (headers["grpc-encoding"] === undefined) refuseCompressed(stream);
    });
    http2.on("session", (session) => policeSession(session, clock));
  }
}

/** The code to reset a stream with; undefined for a request that is in order. */
function refusalOf(
  headers: IncomingHttpHeaders,
  raw: readonly string[],
  { headerBytes }: ServerLimits,
): number | undefined {
  if (headers[":method"] !== "POST") return NGHTTP2_PROTOCOL_ERROR;
  let bytes = 0;
  for (const text of raw) bytes += text.length;
  return bytes > headerBytes ? NGHTTP2_ENHANCE_YOUR_CALM : undefined;
}

function refuse(stream: ServerHttp2Stream, code: number): void {
  stream.on("error", () => undefined);
  stream.close(code);
}

/** A time that grpc-js would take for one in the past is as good as none. */
function boundTimeout(headers: IncomingHttpHeaders): void {
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(headers["grpc-timeout"] ?? ""));
  if (match !== null && Number(match[1]) * (MS_BY_UNIT[match[2] ?? ""] ?? 0) > MAX_TIMEOUT_MS)
    delete headers["grpc-timeout"];
}

/** A call that is cancelled within its request ends the request too, which grpc-js takes for its proper end. */
function forgetCancelled(stream: ServerHttp2Stream): void {
  stream.on("aborted", () => {
    if (!stream.readableEnded) stream.removeAllListeners("end");
  });
}

function boundCall(stream: ServerHttp2Stream, limits: ServerLimits, kind: Kind): void {
  if (kind === "other" || stream.closed) return;
  const { requestMs, unaryMs, stalledMs } = limits;
  const giveUp = () => stream.close(NGHTTP2_ENHANCE_YOUR_CALM);
  let timer = setTimeout(() => {
    if (!stream.readableEnded) giveUp();
    else if (kind === "unary") timer = setTimeout(giveUp, unaryMs - requestMs).unref();
    else timer = watchReader(stream, stalledMs, giveUp);
  }, requestMs).unref();
  stream.once("close", () => clearTimeout(timer));
}

/** Gives up when the reader has taken nothing from one look to the next. */
function watchReader(stream: ServerHttp2Stream, stalledMs: number, giveUp: () => void): NodeJS.Timeout {
  let isStalled = false;
  stream.on("drain", () => {
    isStalled = false;
  });
  const look = () => {
    if (isStalled) giveUp();
    isStalled = stream.writableNeedDrain;
  };
  return setInterval(look, stalledMs).unref();
}

/** A message that says it is compressed where the request names no way. */
function refuseCompressed(stream: ServerHttp2Stream): void {
  stream.once("data", (chunk: Buffer) => {
    if (chunk[0] !== 0 && chunk[0] !== undefined) stream.close(NGHTTP2_INTERNAL_ERROR);
  });
}

function policeSession(session: ServerHttp2Session, clock: Clock): void {
  const bucket = new TokenBucket();
  const count = () => {
    if (session.destroyed || bucket.take(clock.nowMs(), CONTROL_FRAMES)) return;
    session.goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy();
  };
  session.on("ping", count);
  session.on("remoteSettings", count);
}
