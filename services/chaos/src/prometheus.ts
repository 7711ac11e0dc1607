/** Values of PromQL expressions, from the one Prometheus that the configuration names. */
import type { Queries } from "@ordermesh/chaos/backend";

const TIMEOUT_MS = 3_000;

type Answer = { readonly data?: { readonly resultType: string; readonly result: unknown } };

/** @throws Error when it does not answer, or refuses */
export function prometheusQueries(url: string): Queries {
  return {
    value: async ({ prometheus }) => {
      if (url === "" || prometheus === undefined) return undefined;
      const query = new URLSearchParams({ query: prometheus.query });
      const response = await fetch(`${url}/api/v1/query?${query}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!response.ok) throw new Error(`Prometheus answered ${response.status}`);
      return sampleOf((await response.json()) as Answer);
    },
  };
}

/** Of a scalar, or of a vector with one element; anything else is no value. Pure. */
export function sampleOf({ data }: Answer): number | undefined {
  if (data === undefined || !Array.isArray(data.result)) return undefined;
  const samples = data.resultType === "scalar" ? [data.result] : data.result.map((one) => one?.value);
  const value = Number(samples[0]?.[1] ?? Number.NaN);
  return samples.length === 1 && !Number.isNaN(value) ? value : undefined;
}
