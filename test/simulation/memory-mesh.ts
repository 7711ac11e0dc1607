/** Calls between processes in memory, behind the port of the mesh's clients: deadlines, repeats of what may be repeated, no wire. */
import { currentContext, runInContext } from "@ordermesh/mesh/context";
import { isKind, MeshError } from "@ordermesh/mesh/errors";
import type { AnyMethod, CallOptions, MeshClient, ServiceDefinition } from "@ordermesh/mesh/service-definition";
import type { GrpcService, Handler } from "@ordermesh/runtime/grpc-service";
import type { Chance } from "./chance.ts";
import type { Network } from "./network.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";

const DEFAULT_TIMEOUT_MS = 1_000;
const MAX_ATTEMPTS = 3;
/** Longer than any step of a saga may take. */
const LATE_MS = 4_000;
/** How long a dead process is still in the registry. */
const LEASE_MS = 2_000;

type Instance = { readonly owner: SimulatedProcess; readonly handlers: GrpcService["handlers"] };
type Call = {
  readonly name: string;
  readonly key: string;
  readonly request: unknown;
  readonly endsMs: number;
  readonly traceparent: string;
};

export class MemoryMesh {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #chance: Chance;
  readonly #instances = new Map<string, Set<Instance>>();

  constructor(scheduler: Scheduler, network: Network, chance: Chance) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.#chance = chance;
  }

  /** Registers a process; it leaves some time after it has died. */
  serve(owner: SimulatedProcess, { definition, handlers }: GrpcService): void {
    const instances = this.#instances.get(definition.name) ?? new Set();
    const instance = { owner, handlers };
    this.#instances.set(definition.name, instances.add(instance));
    owner.onCrash(() =>
      this.#scheduler.at(this.#chance.between(0, LEASE_MS), undefined, "lease ends", () => instances.delete(instance)),
    );
  }

  client<S extends ServiceDefinition>(caller: SimulatedProcess, definition: S): MeshClient<S> {
    const methods = Object.entries(definition.methods).map(([key, method]) => {
      const call = (request: unknown, options: CallOptions = {}) =>
        this.#call(caller, definition.name, key, method, request, options);
      return [key, call];
    });
    return Object.fromEntries(methods);
  }

  async #call(
    caller: SimulatedProcess,
    name: string,
    key: string,
    method: AnyMethod,
    request: unknown,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
  ): Promise<unknown> {
    const context = currentContext();
    const endsMs = Math.min(this.#scheduler.nowMs + timeoutMs, context?.deadlineMs ?? Number.POSITIVE_INFINITY);
    const call = { name, key, request, endsMs, traceparent: context?.traceparent ?? "" };
    for (let attempt = 1; ; attempt += 1)
      try {
        return await this.#attempt(caller, call);
      } catch (error) {
        const isRepeatable = method.options.idempotencyLevel !== undefined && isKind(error, "unavailable");
        if (!isRepeatable || attempt === MAX_ATTEMPTS) throw error;
        await this.#scheduler.clockOf(caller).sleep(this.#chance.between(0, 50));
      }
  }

  #attempt(caller: SimulatedProcess, call: Call): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const label = `${call.name}.${call.key}`;
    const remainingMs = call.endsMs - this.#scheduler.nowMs;
    const given = new AbortController();
    const timer = this.#scheduler.at(remainingMs, caller, `${label} too late`, () => {
      given.abort();
      reject(new MeshError("deadline", "DEADLINE_EXCEEDED", "no answer in time"));
    });
    const answer = (settle: () => void) =>
      this.#scheduler.at(this.#network.delayMs(), caller, `${label} answered`, () => {
        timer.isCancelled = true;
        settle();
      });
    const hangUp = () => answer(() => reject(new MeshError("unavailable", "TRANSPORT_UNAVAILABLE", "hung up")));
    const instances = [...(this.#instances.get(call.name) ?? [])];
    const fate = this.#network.callFate();
    if (instances.length === 0) {
      hangUp();
      return promise;
    }
    const instance = this.#chance.pick(instances);
    if (!instance.owner.isAlive) hangUp();
    else if (fate !== "request-lost") {
      instance.owner.onCrash(hangUp);
      this.#serve(
        instance,
        call,
        given.signal,
        (settle) => fate === "delivered" && answer(() => settle(resolve, reject)),
      );
    }
    // A request that the network repeats reaches whom it likes when it likes, and nobody waits for its answer.
    if (this.#network.isCallRepeated())
      this.#serve(this.#chance.pick(instances), call, given.signal, () => undefined, this.#chance.between(0, LATE_MS));
    return promise;
  }

  #serve(
    { owner, handlers }: Instance,
    { name, key, request, endsMs, traceparent }: Call,
    signal: AbortSignal,
    reply: (settle: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void) => void,
    delayMs = this.#network.delayMs(),
  ): void {
    const handler: Handler | undefined = handlers[key];
    if (handler === undefined) throw new Error(`${name} has no ${key}`);
    this.#scheduler.at(delayMs, owner, `serves ${name}.${key}`, () => {
      const context = { deadlineMs: endsMs, traceparent, signal, caller: "" };
      const served = runInContext(context, () => handler(request, context)) as Promise<unknown>;
      served.then(
        (value) => reply((resolve) => resolve(value)),
        (error) => reply((_, reject) => reject(outward(error))),
      );
    });
  }
}

/** A throw that nobody expected has no more to say across a call than that it is a bug. */
function outward(error: unknown): unknown {
  return error instanceof MeshError ? error : new MeshError("internal", "INTERNAL", "a bug", { cause: error });
}
