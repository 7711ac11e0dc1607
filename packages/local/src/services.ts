/** Our services as data: what `System` starts, and what each needs. */

export type ServiceSpec = {
  readonly name: string;
  readonly hasGrpc: boolean;
  readonly hasDatabase: boolean;
  readonly hasEvents: boolean;
};

export const SERVICES: readonly ServiceSpec[] = [
  { name: "inventory", hasGrpc: true, hasDatabase: true, hasEvents: false },
  { name: "payment", hasGrpc: true, hasDatabase: true, hasEvents: false },
  { name: "order", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "shipping", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "notification", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "storefront", hasGrpc: false, hasDatabase: false, hasEvents: false },
];

/**
 * Memory of each process, in MiB, as in a container of 320 where Node 24 allows itself 259 (of a whole machine it takes gigabytes before it
 * collects), and with the image's options: what is fixed does not grow.
 */
export const MEMORY = {
  args: [
    "--max-heap-size=256",
    "--min-semi-space-size=8",
    "--max-semi-space-size=8",
    "--heap-growing-percent=15",
    "--no-maglev",
    "--no-turbo-inlining",
    "--no-compact",
    "--no-page-promotion",
    "--no-memory-reducer",
    "--no-flush-bytecode",
    "--no-lazy-feedback-allocation",
    "--always-sparkplug",
  ],
  env: { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: "131072", MALLOC_MMAP_THRESHOLD_: "131072" },
} as const;

/** A process of a service; the third of payment is `payment-3`. */
export type Instance = { readonly name: string; readonly spec: ServiceSpec };

/** One process of each service, or as many as `replicas` says. */
export function instancesOf(replicas: Readonly<Record<string, number>> = {}): Instance[] {
  return SERVICES.flatMap((spec) =>
    Array.from({ length: replicas[spec.name] ?? 1 }, (_, index) => ({ name: `${spec.name}-${index + 1}`, spec })),
  );
}
