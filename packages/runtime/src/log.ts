/** The process's one root logger: JSON lines on standard output. */
import { currentContext, traceId } from "@ordermesh/mesh/context";
import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

type Options = { service: string; instance: string; version: string; level: string; destination?: DestinationStream };

/** A second net: nobody logs requests, and should somebody do, these keys are masked. */
const SECRET_KEYS = [
  "paymentToken",
  "payment_token",
  "email",
  "shipTo",
  "password",
  "postgresUrl",
  "authorization",
  "cookie",
];

export function createLogger({ service, instance, version, level, destination }: Options): Logger {
  const options = {
    level,
    base: { "service.name": service, "service.instance.id": instance, "service.version": version },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
    mixin() {
      const trace = traceId(currentContext()?.traceparent ?? "");
      return trace === "" ? {} : { trace_id: trace };
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** Without the error's further properties: in PostgreSQL's `detail` and `where` there are values, perhaps a customer's. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { type, message, stack } = stdSerializers.err(error);
  return { type, message, stack, ...("code" in error ? { code: error.code } : {}) };
}
