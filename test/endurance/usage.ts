/** What the containers of a cluster use, by the word of its kubelets. Pure. */
import { meanOf } from "../harness/averages.ts";

/** One look at one container. */
export type Sample = {
  readonly pod: string;
  readonly container: string;
  readonly cpuMillis: number;
  /** What the kernel could not take back: what a limit is compared with. */
  readonly workingSetMib: number;
};

/** Of all containers of one name. */
export type Peak = {
  readonly container: string;
  /** Other pods of the same run: a replica, or one that took the place of another. */
  readonly pods: number;
  readonly samples: number;
  readonly meanCpuMillis: number;
  readonly peakCpuMillis: number;
  readonly meanMib: number;
  readonly peakMib: number;
};

/** The part of a kubelet's `/stats/summary` that is read here. A container that has just started has no figures yet. */
export type Summary = {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly {
      readonly name: string;
      readonly cpu?: { readonly usageNanoCores?: number };
      readonly memory?: { readonly workingSetBytes?: number };
    }[];
  }[];
};

export function samplesOf({ pods }: Summary, namespace: string): Sample[] {
  return pods
    .filter(({ podRef }) => podRef.namespace === namespace)
    .flatMap(({ podRef, containers = [] }) =>
      containers.flatMap(({ name: container, cpu, memory }) => {
        if (cpu?.usageNanoCores === undefined || memory?.workingSetBytes === undefined) return [];
        const [cpuMillis, workingSetMib] = [cpu.usageNanoCores / 1e6, memory.workingSetBytes / 1024 ** 2];
        return [{ pod: podRef.name, container, cpuMillis, workingSetMib }];
      }),
    );
}

/** In the order of the containers' names. */
export function peaksOf(samples: readonly Sample[]): Peak[] {
  return [...Map.groupBy(samples, ({ container }) => container)]
    .map(([container, own]) => {
      const [cpu, memory] = [own.map(({ cpuMillis }) => cpuMillis), own.map(({ workingSetMib }) => workingSetMib)];
      return {
        container,
        pods: new Set(own.map(({ pod }) => pod)).size,
        samples: own.length,
        meanCpuMillis: meanOf(cpu),
        peakCpuMillis: Math.max(...cpu),
        meanMib: meanOf(memory),
        peakMib: Math.max(...memory),
      };
    })
    .sort((one, other) => one.container.localeCompare(other.container));
}
