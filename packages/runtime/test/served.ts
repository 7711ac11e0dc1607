/** A gRPC server of ours with two services, and calls to it by hand, so that everything about them can be wrong. */
import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { TestContext } from "node:test";
import { systemClock } from "@ordermesh/mesh/clock";
import type { CallContext } from "@ordermesh/mesh/context";
import { OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import {
  ChargeRequest as ChargeCodec,
  type ChargeRequest,
  PaymentServiceDefinition,
} from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { GrpcServer } from "../src/grpc.ts";
import { implement } from "../src/grpc-service.ts";
import type { ServerLimits } from "../src/http2-guard.ts";
import { createLogger } from "../src/log.ts";
import { createMetrics } from "../src/metrics.ts";
import type { Field } from "./raw-http2.ts";

export const CHARGE = "/ordermesh.payment.v1.PaymentService/Charge";
export const WATCH = "/ordermesh.order.v1.OrderService/WatchOrder";
export const good = ChargeCodec.encode({ orderId: "one", amount: undefined, paymentToken: "tok_secret" }).finish();

export type Handle = (request: ChargeRequest, call: CallContext) => Promise<unknown>;

export type Options = {
  readonly limits?: Partial<ServerLimits>;
  /** Serves WatchOrder; by default one message, and then silence until the call is over. */
  readonly watch?: (call: CallContext) => AsyncIterable<{ order: undefined | object }>;
};

export async function start(t: TestContext, handle: Handle, { limits = {}, watch = oneThenSilence }: Options = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", instance: "test", version: "", level: "debug", destination });
  const metrics = createMetrics();
  let handled = 0;
  const charge = async (message: ChargeRequest, call: CallContext) => {
    handled += 1;
    await handle(message, call);
    return { payment: undefined };
  };
  const never = async () => ({ payment: undefined });
  const unused = async () => ({ order: undefined });
  const services = [
    implement(PaymentServiceDefinition, { charge, refund: never, getPayment: never }),
    implement(OrderServiceDefinition, {
      placeOrder: unused,
      getOrder: unused,
      cancelOrder: unused,
      listOrders: async () => ({ orders: [], nextPageToken: "" }),
      watchOrder: (_request: unknown, context: CallContext) => watch(context) as never,
    }),
  ];
  const server = new GrpcServer(services, { log, metrics, clock: systemClock, random: Math.random, limits });
  const port = await server.listen("127.0.0.1", 0);
  t.after(() => server.close());
  return { server, port, lines, metrics, handled: () => handled };
}

async function* oneThenSilence({ signal }: CallContext) {
  yield { order: undefined };
  await once(signal, "abort");
}

export type Reply = { readonly httpStatus: number; readonly grpcStatus: string; readonly message: string };

export async function call(
  port: number,
  options: { path?: string; body?: Buffer | undefined; headers?: Record<string, string>; cancelAfterMs?: number } = {},
): Promise<Reply> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: options.path ?? CHARGE,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
    ...options.headers,
  });
  stream.on("error", () => undefined);
  const found: Record<string, unknown> = {};
  stream.on("response", (headers) => Object.assign(found, headers));
  stream.on("trailers", (headers) => Object.assign(found, headers));
  stream.end(options.body ?? frame(Buffer.from(good)));
  if (options.cancelAfterMs !== undefined)
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), options.cancelAfterMs);
  stream.resume();
  await once(stream, "close");
  session.close();
  return {
    httpStatus: Number(found[":status"] ?? 0),
    grpcStatus: String(found["grpc-status"] ?? ""),
    message: decodeURIComponent(String(found["grpc-message"] ?? "")),
  };
}

export function frame(message: Buffer, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export const nothing: Handle = async () => undefined;

/** The header fields of a good call, for frames by hand. */
export function fieldsOf(path: string, ...more: readonly Field[]): Field[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
    ...more,
  ];
}
