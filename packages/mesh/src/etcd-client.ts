/** How this package talks to etcd with etcd3: one try, a deadline, keepalive that etcd tolerates, and errors of ours. */
import { Etcd3, type IOptions } from "etcd3";
import { MeshError } from "./errors.ts";

export const CALL_DEADLINE_MS = 2_000;
export const MIN_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 5_000;

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

/** One try: when to try again is decided here. etcd3's own policy tries thrice and then lets a revived etcd wait for 5 s. */
const once = { execute: async (work, signal = new AbortController().signal) => await work({ signal }) } as Policy;

/** Pings below 5 s or without a stream make etcd hang up, so 10 s and only while calls are open. */
export function newClient(endpoints: readonly string[]): Etcd3 {
  const options: IOptions = {
    hosts: [...endpoints],
    grpcOptions: {
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 3_000,
      "grpc.keepalive_permit_without_calls": 0,
      "grpc.initial_reconnect_backoff_ms": MIN_BACKOFF_MS,
      "grpc.max_reconnect_backoff_ms": MAX_BACKOFF_MS,
      "grpc.enable_channelz": 0,
      "grpc.use_local_subchannel_pool": 1,
    },
    faultHandling: { global: once, host: () => once },
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + CALL_DEADLINE_MS }),
  };
  return new Etcd3(options);
}

export async function translate<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new MeshError("unavailable", "STORE_UNAVAILABLE", "etcd did not answer", { cause: error });
  }
}
