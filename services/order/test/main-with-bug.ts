/** The order process with a bug planted by its wiring; `argv[2]` names it. For tests of the judge. */
import { env } from "node:process";
import type { CallContext } from "@ordermesh/mesh/context";
import { isKind } from "@ordermesh/mesh/errors";
import { OrderServiceDefinition } from "@ordermesh/proto/ordermesh/order/v1/order";
import type { GrpcService } from "@ordermesh/runtime/grpc-service";
import { runService, type ServiceContext } from "@ordermesh/runtime/service";
import { SETTINGS } from "../src/config.ts";
import { startOrder } from "../src/order.ts";
import { inputOfFailure, next } from "../src/saga.ts";
import { forgetless } from "./forgetless-view.ts";
import { DirectStore, KeylessStore, UnfencedStore } from "./wrong-stores.ts";

/** What a service that has to fill its caches first takes for it. */
const WARM_UP_MS = 3_000;

type Context = ServiceContext<typeof SETTINGS>;
type Policies = Parameters<typeof startOrder>[1];
type Bug = Partial<Pick<Parameters<typeof runService<typeof SETTINGS>>[0], "start" | "viewOf">>;

const withPolicies = (policies: Policies): Bug => ({ start: (context) => startOrder(context, policies) });

/** Registers at once, and is ready only after its warm-up: until then every call meets what is not there yet. */
async function startUnready(context: Context): Promise<GrpcService[]> {
  let started: GrpcService | undefined;
  const warmUp = async () => {
    const [service] = await startOrder(context);
    await context.clock.sleep(WARM_UP_MS);
    started = service;
  };
  warmUp().catch((error: unknown) => context.lifecycle.fail(error));
  const methods = Object.keys(OrderServiceDefinition.methods);
  const handlerOf = (method: string) => (request: unknown, call: CallContext) => {
    const handle = started?.handlers[method];
    if (handle === undefined) throw new TypeError("called before the start");
    return handle(request, call);
  };
  return [
    {
      definition: OrderServiceDefinition,
      handlers: Object.fromEntries(methods.map((method) => [method, handlerOf(method)])),
      callers: Object.fromEntries(methods.map((method) => [method, ["storefront"]])),
      waiting: ["placeOrder"],
    },
  ];
}

const BUGS: Readonly<Record<string, Bug>> = {
  "no-idempotency-key": withPolicies({ openStore: (db, leaseMs) => new KeylessStore(db, leaseMs) }),
  "outbox-off": withPolicies({ openStore: (db, leaseMs, bus) => new DirectStore(db, leaseMs, bus) }),
  "unfenced-saga": withPolicies({ openStore: (db, leaseMs) => new UnfencedStore(db, leaseMs) }),
  "no-compensation": withPolicies({
    rules: { next: (state, input) => (input === "TIMED_OUT" ? "CANCELLED" : next(state, input)), inputOfFailure },
  }),
  "unknown-is-declined": withPolicies({
    rules: {
      next,
      inputOfFailure: (step, error) =>
        step === "charge" && isKind(error, "unavailable", "deadline") ? "DECLINED" : inputOfFailure(step, error),
    },
  }),
  "ready-always": { start: startUnready },
  "forced-shutdown": {},
  "stale-endpoints": { viewOf: (etcd) => forgetless(etcd, "/endpoints/") },
  "unleased-faults": { viewOf: (etcd) => forgetless(etcd, "/faults/") },
};

const name = process.argv[2] ?? "";
const bug = BUGS[name];
if (bug === undefined) throw new Error(`name one of ${Object.keys(BUGS).join(", ")}`);
if (name === "forced-shutdown") process.on("SIGTERM", () => process.exit(1));
await runService({ name: "order", settings: SETTINGS, start: startOrder, ...bug }, env);
