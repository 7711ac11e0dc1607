/** A service as plain async functions, and who may call them. */
import type { CallContext } from "@ordermesh/mesh/context";
import type { RequestOf, ResponseOf, ServiceDefinition } from "@ordermesh/mesh/service-definition";

/** One function for each method: a promise for a unary one, an async iterable for a server stream. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [K in keyof S["methods"]]: S["methods"][K]["responseStream"] extends true
    ? (request: RequestOf<S["methods"][K]>, call: CallContext) => AsyncIterable<ResponseOf<S["methods"][K]>>
    : (request: RequestOf<S["methods"][K]>, call: CallContext) => Promise<ResponseOf<S["methods"][K]>>;
};

export type Handler = (request: unknown, call: CallContext) => Promise<unknown> | AsyncIterable<unknown>;
/** The services that may call a method, where callers have an identity; whom the list does not name may not. */
export type Callers<S extends ServiceDefinition> = { readonly [K in keyof S["methods"]]?: readonly string[] };
export type GrpcService = {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly callers: Readonly<Record<string, readonly string[]>>;
  readonly waiting: readonly string[];
};

/**
 * `waiting` names methods that mostly wait for others, as for an order's end: how long their calls take says nothing of how
 * busy this server is.
 */
export function implement<S extends ServiceDefinition>(
  definition: S,
  handlers: Handlers<S>,
  callers: Callers<S> = {},
  waiting: readonly (keyof S["methods"] & string)[] = [],
): GrpcService {
  return {
    definition,
    handlers: handlers as unknown as Record<string, Handler>,
    callers: callers as Record<string, readonly string[]>,
    waiting,
  };
}
