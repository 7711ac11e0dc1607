/** The shape of a generated service definition (ts-proto `generic-definitions`) and of the client made from it. */

/** Turns a message into bytes and back, as generated code does. */
export type Codec<T> = {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
};

export type IdempotencyLevel = "IDEMPOTENT" | "NO_SIDE_EFFECTS";

export type MethodDefinition<Request, Response> = {
  readonly name: string;
  readonly requestType: Codec<Request>;
  readonly requestStream: boolean;
  readonly responseType: Codec<Response>;
  readonly responseStream: boolean;
  /** Methods without a level may have happened when a call failed, and are never repeated. */
  readonly options: { readonly idempotencyLevel?: IdempotencyLevel };
};

// biome-ignore lint/suspicious/noExplicitAny: a definition holds methods of all message types; each use infers its own.
export type AnyMethod = MethodDefinition<any, any>;

export type ServiceDefinition = {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, AnyMethod>>;
};

export type RequestOf<M extends AnyMethod> = M["requestType"] extends Codec<infer T> ? T : never;
export type ResponseOf<M extends AnyMethod> = M["responseType"] extends Codec<infer T> ? T : never;

export type CallOptions = {
  /** Cancels the call; it then fails with kind `cancelled`. */
  readonly signal?: AbortSignal;
  /** Upper bound of this call with all its attempts; what remains of the current call's deadline lowers it. */
  readonly timeoutMs?: number;
  /** Metadata to send along, lower-case names and ASCII values; routes, splits and consistent hashing look at it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Trace to continue instead of the current call's. */
  readonly traceparent?: string;
};

/** One promise function for each unary method, one async iterable for each server stream. All fail with MeshError. */
export type MeshClient<S extends ServiceDefinition> = {
  readonly [K in keyof S["methods"]]: S["methods"][K]["responseStream"] extends true
    ? (request: RequestOf<S["methods"][K]>, options?: CallOptions) => AsyncIterable<ResponseOf<S["methods"][K]>>
    : (request: RequestOf<S["methods"][K]>, options?: CallOptions) => Promise<ResponseOf<S["methods"][K]>>;
};

/** `/package.Service/Method`, the path on the wire. */
export function methodPath(definition: ServiceDefinition, method: AnyMethod): string {
  return `/${definition.fullName}/${method.name}`;
}
