/** What the registry and Kubernetes do not agree on. Pure. */

/** Addresses of instances, by service. */
export type Places = ReadonlyMap<string, readonly string[]>;

export type Drift = {
  readonly service: string;
  /** A pod that serves but is not in the registry gets no calls; one that is registered but not there gets calls in vain. */
  readonly missingIn: "registry" | "kubernetes";
  readonly count: number;
};

/** Two entries for each service that either knows, zero where all is well. */
export function driftOf(registered: Places, serving: Places): Drift[] {
  const services = new Set([...registered.keys(), ...serving.keys()]);
  return [...services].flatMap((service): Drift[] => {
    const inRegistry = new Set(registered.get(service));
    const inKubernetes = new Set(serving.get(service));
    return [
      { service, missingIn: "registry", count: inKubernetes.difference(inRegistry).size },
      { service, missingIn: "kubernetes", count: inRegistry.difference(inKubernetes).size },
    ];
  });
}
