/** The system on the kind cluster, as the tests of it see it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { forward, helm, kubectl, RELEASE, ROOT } from "@ordermesh/cluster/tools";
import { freePorts } from "@ordermesh/local/part";
import { type DemoResult, runDemo } from "../demo/demo.ts";

export const URL_OF_SHOP = "http://127.0.0.1:8080";
const WITH_DATABASE = ["inventory", "notification", "order", "payment", "shipping"] as const;
const SETTLE_MS = 2_000;
/** Orders a second while something is done to the system. A machine of two cores, which is the whole cluster, needs less. */
const RATE = Number(process.env.CLUSTER_ORDERS_PER_S ?? 20);

type Pod = {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly containers: readonly {
      readonly name: string;
      readonly resources: Readonly<Record<"requests" | "limits", { readonly memory: string }>>;
    }[];
  };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly restartCount: number;
      readonly lastState: { readonly terminated?: { readonly reason: string } };
    }[];
  };
};

export async function pods(): Promise<Pod[]> {
  const { items } = JSON.parse(await kubectl("get", "pods", "-o", "json"));
  return items;
}

/** What the release was installed with. */
export async function installed(): Promise<{ readonly tag: string; readonly mode: "strimzi" | "embedded" }> {
  const { image, kafka } = JSON.parse(await helm("get", "values", RELEASE, "--all", "--output", "json"));
  return { tag: image.tag, mode: kafka.mode };
}

/** `<pod> <restarts>` of all containers that were restarted. */
export async function restarts(): Promise<string[]> {
  return (await pods()).flatMap(({ metadata, status }) =>
    (status.containerStatuses ?? [])
      .filter(({ restartCount }) => restartCount > 0)
      .map(({ restartCount, lastState }) => `${metadata.name} ${restartCount} ${lastState.terminated?.reason ?? ""}`),
  );
}

/** Runs a script of ours in a service's container, with what the image has. */
export async function runIn(service: string, script: string, dir = "/app/packages/events"): Promise<string> {
  return await kubectl(
    "exec",
    `deployment/${RELEASE}-${service}`,
    "--",
    "sh",
    "-c",
    `cd ${dir} && node --input-type=module -e '${script}'`,
  );
}

type Load = {
  readonly seed: number;
  readonly seconds: number;
  /** Orders a second; `RATE` if not given. */
  readonly rate?: number;
  readonly say: (line: string) => void;
  readonly progress?: (line: string) => void;
};

/** Orders while `disturb` works, judged when all is at rest. */
export async function judged(
  { seed, seconds, rate = RATE, say, progress = () => undefined }: Load,
  disturb: () => Promise<void>,
): Promise<DemoResult> {
  const dir = join(ROOT, ".cache", "runs", `cluster-${seed}`);
  mkdirSync(dir, { recursive: true });
  const [port = 0] = await freePorts(1);
  const stop = forward(`service/${RELEASE}-postgres`, port, 5432);
  try {
    const options = { orders: Math.round(seconds * rate), rate, seed, kills: [], dir, say, progress };
    const target = { url: URL_OF_SHOP, databases: await databases(port), system: undefined, mesh: undefined };
    const run = runDemo(target, options);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const [result] = await Promise.all([run, disturb()]);
    return result;
  } finally {
    stop();
  }
}

/** Answers of the cluster's Prometheus to a query. */
export async function withPrometheus<T>(
  work: (query: (text: string) => Promise<readonly unknown[]>) => Promise<T>,
): Promise<T> {
  const [port = 0] = await freePorts(1);
  const stop = forward(`service/${RELEASE}-prometheus`, port, 9090);
  const query = async (text: string) => {
    for (let tries = 0; ; tries += 1)
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(text)}`);
        const { data, error } = (await answer.json()) as { data?: { result: unknown[] }; error?: string };
        if (data === undefined) throw new RangeError(`${text}: ${error}`);
        return data.result;
      } catch (error) {
        if (error instanceof RangeError || tries === 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500)); // The way there is not open yet.
      }
  };
  try {
    return await work(query);
  } finally {
    stop();
  }
}

async function databases(port: number): Promise<Record<string, string>> {
  const { data } = JSON.parse(await kubectl("get", "secret", `${RELEASE}-postgres`, "-o", "json"));
  return Object.fromEntries(
    WITH_DATABASE.map((service) => {
      const password = Buffer.from(data[service], "base64").toString();
      return [service, `postgres://${service}:${password}@127.0.0.1:${port}/${service}`];
    }),
  );
}
