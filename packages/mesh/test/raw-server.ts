/** A bare HTTP/2 server that answers gRPC calls as badly as a test wants. */
import { once } from "node:events";
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { frame } from "../src/grpc-wire.ts";

export type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export type RawServer = {
  readonly address: string;
  readonly server: Http2Server;
  /** Those that are open. */
  readonly sessions: ReadonlySet<ServerHttp2Session>;
};

export async function serveRaw(t: TestContext, answer: Answer, settings = {}, port = 0): Promise<RawServer> {
  const server = createServer({ settings });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    answer(stream, headers);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server, sessions };
}

export const HEADERS = { ":status": 200, "content-type": "application/grpc" };
export const HELLO = frame(Buffer.from('{"text":"hello"}'));

/** Sends `chunks` and then `trailers`; no trailers at all when null. */
export function send(
  stream: ServerHttp2Stream,
  chunks: readonly Buffer[],
  trailers: Record<string, string> | null = { "grpc-status": "0" },
): void {
  if (stream.destroyed) return;
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => (trailers === null ? stream.close() : stream.sendTrailers(trailers)));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
}
