/** Reads what the store holds and what every instance says on `/debug/mesh`. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Endpoint, parseEndpoint } from "@ordermesh/mesh/endpoint";
import { EtcdDocuments, type StoredDocument } from "@ordermesh/mesh/etcd-documents";
import { parsePolicy } from "@ordermesh/mesh/policy";
import { judgeMesh } from "./mesh-invariants.ts";
import type { InstanceView, MeshView, World } from "./world.ts";

const ASK_TIMEOUT_MS = 3_000;
const POLL_MS = 500;
/** A lease's time to live and half of it: so long a registration may lag behind the truth after the last fault. */
export const CONVERGE_MS = 15_000;

export type MeshSource = {
  /** etcd's client addresses. */
  readonly etcd: readonly string[];
  readonly prefix?: string;
  /** Admin servers of all instances that should be live, such as `http://10.0.0.7:9090`; one that does not answer is taken for dead. */
  readonly adminUrls: readonly string[];
};

/** Reads until everything is as it should be, at the longest for `timeoutMs`; what it resolves with is for `judge`. */
export async function readConverged(source: MeshSource, timeoutMs = CONVERGE_MS): Promise<World["mesh"]> {
  const endsMs = performance.now() + timeoutMs;
  for (;;) {
    const mesh = await readMesh(source).catch(() => "unreadable" as const);
    if (judgeMesh(mesh).every(({ held }) => held === "True") || performance.now() >= endsMs) return mesh;
    await sleep(POLL_MS);
  }
}

/** @throws MeshError unavailable STORE_UNAVAILABLE; Error when no instance answers */
export async function readMesh({ etcd, prefix = "/ordermesh", adminUrls }: MeshSource): Promise<MeshView> {
  const asked = await Promise.all(adminUrls.map(askInstance));
  const instances = asked.filter((instance) => instance !== undefined);
  if (instances.length === 0) throw new Error("no instance answers");
  const documents = new EtcdDocuments(etcd);
  try {
    const [endpoints, policies] = await Promise.all([
      documents.list(`${prefix}/endpoints/`),
      documents.list(`${prefix}/policy/`),
    ]);
    return {
      instances,
      registered: endpoints.flatMap(readEndpoint),
      policyRevision: policies.reduce((newest, { revision }) => (revision > newest ? revision : newest), 0n),
      policies: new Map(policies.map(({ key, value }) => [key.slice(`${prefix}/policy/`.length), readPolicy(value)])),
    };
  } finally {
    documents.close();
  }
}

/** Undefined when it does not answer. */
async function askInstance(adminUrl: string): Promise<InstanceView | undefined> {
  try {
    const response = await fetch(`${adminUrl}/debug/mesh`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    return toInstance(new URL(adminUrl).host, (await response.json()) as Debug);
  } catch {
    return undefined;
  }
}

/** The part of `/debug/mesh` that is read here. */
type Debug = {
  readonly policy: { readonly revision: string; readonly documents: Readonly<Record<string, object>> };
  readonly registration: "idle" | "registering" | "registered" | "closed";
  readonly endpoints: Readonly<Record<string, readonly Pick<Endpoint, "service" | "instance" | "address">[]>>;
};

function toInstance(adminAddress: string, { policy, registration, endpoints }: Debug): InstanceView {
  return {
    adminAddress,
    isToBeFound: registration === "registering" || registration === "registered",
    policyRevision: BigInt(policy.revision),
    policies: new Map(
      Object.entries(policy.documents).map(([service, document]) => [service, JSON.stringify(document)]),
    ),
    endpoints: Object.values(endpoints)
      .flat()
      .map(({ service, instance, address }) => `${service}/${instance} at ${address}`),
  };
}

/** Nothing for a document that instances skip too. */
function readEndpoint({ key, value }: StoredDocument): MeshView["registered"] {
  try {
    const { service, instance, address, adminAddress } = parseEndpoint(key, value);
    return [{ name: `${service}/${instance}`, address, adminAddress }];
  } catch {
    return [];
  }
}

/** In the same order of fields as an instance tells it; undefined for what instances refuse. */
function readPolicy(text: string): string | undefined {
  try {
    return JSON.stringify(parsePolicy(text));
  } catch {
    return undefined;
  }
}
