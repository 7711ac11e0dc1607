/** NetworkPolicies, as a cluster reads them, against the table of calls: both directions of every pair must be open, or it is closed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAOS, MODES, podsOf, type Resource, render, skip, TABLE, WHOLE_TABLE } from "./render.ts";

type Labels = Readonly<Record<string, string>>;
type Selector = {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn";
    readonly values: readonly string[];
  }[];
};
type Rule = {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port: number }[];
};
type Peer = { readonly podSelector?: Selector; readonly namespaceSelector?: Selector };

/** Every port that some part of ours listens on, and one that none does. */
const PORTS = [80, 443, 2379, 2380, 2381, 5432, 6443, 8080, 8090, 9090, 9092, 9093, 50051];

function isSelected(labels: Labels, { matchLabels = {}, matchExpressions = [] }: Selector): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => (operator === "In") === values.includes(labels[key] ?? ""))
  );
}

/** Whether policies let `labels` talk to (or be talked to by) `other` on `port`; undefined is somebody outside. */
function isOpen(
  policies: readonly Resource[],
  side: "Ingress" | "Egress",
  labels: Labels,
  other: Labels | undefined,
  port: number,
): boolean {
  const selecting = policies.filter(
    ({ spec }) => spec.policyTypes.includes(side) && isSelected(labels, spec.podSelector),
  );
  const matches = (peers: readonly Peer[] | undefined) =>
    peers === undefined ||
    peers.some(
      ({ podSelector = {}, namespaceSelector }) =>
        namespaceSelector === undefined && other !== undefined && isSelected(other, podSelector),
    );
  return selecting.some(({ spec }) =>
    ((side === "Ingress" ? spec.ingress : spec.egress) ?? []).some(
      (rule: Rule) =>
        matches(side === "Ingress" ? rule.from : rule.to) &&
        (rule.ports === undefined || rule.ports.some((open) => open.port === port)),
    ),
  );
}

/** `<from> <to> <port>` of every pair that the policies leave open; `further` are labels that a component's pods were given. */
function openPairs(resources: readonly Resource[], further: Readonly<Record<string, Labels>> = {}): string[] {
  const policies = resources.filter(({ kind }) => kind === "NetworkPolicy");
  const parts: (readonly [name: string, labels: Labels | undefined])[] = [
    ["outside", undefined],
    ...podsOf(resources).map(({ labels }) => {
      const name = labels["app.kubernetes.io/component"] ?? "";
      return [name, { ...labels, ...further[name] }] as const;
    }),
  ];
  const pairs = parts.flatMap((from) => parts.flatMap((to) => PORTS.map((port) => ({ from, to, port }))));
  return pairs
    .filter(({ from: [, from], to: [, to] }) => from !== undefined || to !== undefined)
    .filter(({ from: [, from], to: [, to], port }) => from === undefined || isOpen(policies, "Egress", from, to, port))
    .filter(({ from: [, from], to: [, to], port }) => to === undefined || isOpen(policies, "Ingress", to, from, port))
    .map(({ from: [from], to: [to], port }) => `${from} ${to} ${port}`)
    .sort();
}

/** The same, out of the table. */
function wantedPairs(mode: string, table = TABLE): string[] {
  const services = Object.entries(table);
  const those = (what: "database" | "kafka" | "kubernetes") =>
    services.flatMap(([service, facts]) => (facts[what] ? [service] : []));
  const isClearing = mode === "strimzi" || "chaos" in table;
  const toApi = ["test", ...(isClearing ? ["uninstall"] : []), ...those("kubernetes")];
  return [
    ...services.flatMap(([to, { calledBy }]) => calledBy.map((from) => `${from} ${to} 50051`)),
    ...services.flatMap(([service]) => [`${service} etcd 2379`, `prometheus ${service} 9090`]),
    ...those("database").map((service) => `${service} postgres 5432`),
    ...(mode === "embedded" ? [...those("kafka"), "topics", "kafka"].map((from) => `${from} kafka 9092`) : []),
    ...(mode === "external" ? those("kafka").map((from) => `${from} outside 9093`) : []),
    ...toApi.flatMap((from) => [`${from} outside 443`, `${from} outside 6443`]),
    ...["etcd etcd 2380", "prometheus etcd 2381", "test storefront 8080"],
    ...["outside storefront 8080", "outside prometheus 9090"],
  ].sort();
}

for (const [mode, kafka] of Object.entries(MODES))
  test(`with Kafka ${mode} the pairs that policies leave open are the table of calls`, { skip }, () => {
    assert.deepEqual(openPairs(render(...kafka)), wantedPairs(mode));
  });

/** What the controller reads, and how customers reach the shop. */
const OF_CHAOS = [
  ...Object.keys(WHOLE_TABLE).map((service) => `chaos ${service} 9090`),
  ...["chaos customers 8090", "chaos postgres 5432", "chaos prometheus 9090", "customers storefront 8080"],
];

test("with experiments the controller reaches what it reads, and nobody reaches more", { skip }, () => {
  const wanted = [...wantedPairs("embedded", WHOLE_TABLE), ...OF_CHAOS].sort();
  assert.deepEqual(openPairs(render(...(MODES.embedded ?? []), ...CHAOS)), wanted);
});

for (const [mode, kafka] of Object.entries(MODES))
  test(`with Kafka ${mode} a label cuts pods off from a part, and from nothing else`, { skip }, () => {
    const resources = render(...kafka);
    const open = openPairs(resources);
    for (const [part, port] of [
      ["etcd", 2379],
      ["postgres", 5432],
      ["kafka", 9092],
    ] as const) {
      const left = openPairs(resources, { order: { "chaos.ordermesh.dev/cut": part } });
      const gone = open.filter((pair) => !left.includes(pair));
      const expected =
        part !== "kafka"
          ? `order ${part} ${port}`
          : { embedded: "order kafka 9092", external: "order outside 9093" }[mode];
      assert.deepEqual(gone, expected === undefined ? [] : [expected], "strimzi's brokers are no pods of the chart");
      assert.deepEqual(
        left.filter((pair) => !open.includes(pair)),
        [],
      );
    }
  });

test("every pod is in the default-deny", { skip }, () => {
  for (const kafka of Object.values(MODES)) {
    const resources = render(...kafka);
    const deny = resources.find(({ metadata }) => metadata.name === "shop-deny")?.spec;
    assert.deepEqual([deny.policyTypes, deny.ingress], [["Ingress", "Egress"], undefined]);
    for (const { name, labels } of podsOf(resources)) assert.ok(isSelected(labels, deny.podSelector), name);
  }
});
