/** Faults of the network between processes and the parts they use, made by the proxies between them. */
import type { InjectContext } from "@ordermesh/chaos/backend";
import { actedOn, type Fault } from "@ordermesh/chaos/fault";
import type { TargetStatus } from "@ordermesh/chaos/status";
import type { Network } from "./network.ts";
import type { Shape } from "./pipe.ts";
import type { ProxyCounts, TcpProxy } from "./tcp-proxy.ts";

const NOTHING: ProxyCounts = { bytes: 0, broken: 0, refused: 0 };

export function networkFault(network: Network): Fault {
  /** What each proxy had counted before. */
  const before = new Map<string, ProxyCounts>();
  const proxyOf = ({ name }: TargetStatus, { spec }: InjectContext): TcpProxy => {
    const { peer } = shapeOf(spec.action);
    const proxy = network.proxy(name, peer);
    if (proxy === undefined) throw new Error(`${name} has no connections to ${peer}`);
    return proxy;
  };
  const since = (target: TargetStatus, context: InjectContext): ProxyCounts => {
    const [was, now] = [before.get(target.name), proxyOf(target, context).counts];
    if (was === undefined) return NOTHING;
    return { bytes: now.bytes - was.bytes, broken: now.broken - was.broken, refused: now.refused - was.refused };
  };
  return {
    inject: async (target, context) => {
      const proxy = proxyOf(target, context);
      before.set(target.name, proxy.counts);
      proxy.setShape(shapeOf(context.spec.action).shape);
    },
    heal: async (target, context) => proxyOf(target, context).setShape({ kind: "Pass" }),
    isHealed: async (target, context) => proxyOf(target, context).shape.kind === "Pass",
    evidence: async (targets, context) => {
      const counts = actedOn(targets).map((target) => since(target, context));
      const observed = counts.filter(({ bytes, broken, refused }) => bytes + broken + refused > 0).length;
      const sum = (field: keyof ProxyCounts) => counts.reduce((total, own) => total + own[field], 0);
      const detail = `${sum("bytes")} bytes met it, ${sum("broken")} connections broken, ${sum("refused")} refused`;
      return { expected: targets.length, observed, detail };
    },
    forget: () => before.clear(),
  };
}

/** Pure. @throws RangeError for an action that is none of the network */
function shapeOf(action: InjectContext["spec"]["action"]): { readonly peer: string; readonly shape: Shape } {
  switch (action.type) {
    case "Partition":
      return { peer: action.partition.peer, shape: { kind: action.partition.mode } };
    case "Latency": {
      const { peer, delayMs, jitterMs } = action.latency;
      return { peer, shape: { kind: "Latency", delayMs, jitterMs } };
    }
    case "Throttle":
      return {
        peer: action.throttle.peer,
        shape: { kind: "Throttle", bytesPerSecond: action.throttle.bytesPerSecond },
      };
    default:
      throw new RangeError(`${action.type} is no fault of the network`);
  }
}
