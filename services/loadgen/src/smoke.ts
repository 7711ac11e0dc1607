/** One order, followed until it is shipped, logs that must not tell of its customer, and addresses that must not be reachable. Exit codes: 0 all well, 1 not, 2 wrong use. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { planOrders } from "./schedule.ts";
import { type Answer, CUSTOMER, ShopClient } from "./shop-client.ts";

const HELP = `Usage: node services/loadgen/src/smoke.ts --url http://shop [--seconds 60] [--denied host:port,...] [--logs-of RELEASE --namespace NAME]

Places an order, asks for it twice with the same key, and waits until it is shipped. Then every address of --denied must refuse
a connection, or not answer for 3 s. With --logs-of, which works inside of the cluster only, no log of the release's pods may hold what the customer entered.
`;
const POLL_MS = 500;
const CONNECT_MS = 3_000;

const { values } = readCommandLine(
  {
    options: {
      url: { type: "string", default: "http://127.0.0.1:8080" },
      seconds: { type: "string", default: "60" },
      denied: { type: "string", default: "" },
      "logs-of": { type: "string", default: "" },
      namespace: { type: "string", default: "" },
      help: { type: "boolean" },
    },
  },
  HELP,
  2,
);
if (values.help) process.stdout.write(HELP);
else if (!URL.canParse(values.url) || !(Number(values.seconds) > 0)) {
  process.stderr.write(`--url must be a URL and --seconds a number\n\n${HELP}`);
  process.exitCode = 2;
} else process.exitCode = await smoke(values.url, Number(values.seconds), values.denied.split(",").filter(Boolean));

async function smoke(url: string, seconds: number, denied: readonly string[]): Promise<number> {
  const client = new ShopClient(url);
  try {
    const problem = await orderShipped(client, performance.now() + seconds * 1_000);
    const reached = (await Promise.all(denied.map(isReachable))).flatMap((is, index) => (is ? [denied[index]] : []));
    if (denied.length > 0)
      process.stdout.write(`${denied.length - reached.length} of ${denied.length} addresses denied\n`);
    const leaks = values["logs-of"] === "" ? [] : await leaksOf(values["logs-of"], values.namespace);
    const problems = [
      ...(problem === "" ? [] : [problem]),
      ...leaks,
      ...reached.map((address) => `${address} can be reached`),
    ];
    if (problems.length > 0) process.stderr.write(`${problems.join("\n")}\n`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    client.close();
  }
}

/** What went wrong; empty when nothing did. */
async function orderShipped(client: ShopClient, endsMs: number): Promise<string> {
  const planned = planOrders({ seed: Date.now() % 1_000_000, tag: "smoke", orders: "Plain" }).next().value;
  const until = async (ask: () => Promise<Answer>, isDone: (answer: Answer) => boolean) => {
    let answer = await ask();
    while (!isDone(answer) && performance.now() < endsMs) {
      await sleep(POLL_MS);
      answer = await ask();
    }
    return answer;
  };
  const placed = await until(
    () => client.place(planned),
    ({ phase }) => phase !== "info",
  );
  if (placed.phase !== "ok" || placed.orderId === undefined)
    return `the order was not taken: HTTP ${placed.httpStatus ?? "no answer"} ${placed.reason ?? ""}`;
  const again = await client.place(planned);
  if (again.orderId !== placed.orderId)
    return `the same key made another order: ${placed.orderId} and ${again.orderId}`;
  const id = placed.orderId;
  const last = await until(
    () => client.read(id),
    ({ status }) => status === "SHIPPED",
  );
  process.stdout.write(`order ${id} is ${last.status}\n`);
  return last.status === "SHIPPED" ? "" : `order ${id} is ${last.status} and not SHIPPED`;
}

/** A sentence for each container whose log holds something that the customer entered. */
async function leaksOf(release: string, namespace: string): Promise<string[]> {
  const { KubernetesApi } = await import("@ordermesh/kubernetes/api"); // Only where there is a cluster: it is large.
  const logs = await KubernetesApi.inCluster(namespace).logs(release);
  process.stdout.write(`${logs.size} logs searched for what the customer entered\n`);
  const { email, shipTo, paymentToken } = CUSTOMER;
  const canaries = [email, paymentToken, shipTo.name, shipTo.street, shipTo.postalCode];
  return [...logs].flatMap(([container, text]) =>
    canaries.filter((canary) => text.includes(canary)).map((canary) => `the log of ${container} tells "${canary}"`),
  );
}

function isReachable(address: string): Promise<boolean> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: CONNECT_MS });
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.on("connect", () => end(true));
    socket.on("timeout", () => end(false));
    socket.on("error", () => end(false));
  });
}
