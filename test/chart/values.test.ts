/** Values that the chart refuses, by the field's name, and what a cluster may lack. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal, STRIMZI, skip } from "./render.ts";

for (const [set, field] of [
  ["kafka.mode=nats", "/kafka/mode"],
  ["kafka.replicas=0", "/kafka/replicas"],
  ["kafka.heap=lots", "/kafka/heap"],
  ["kafka.mode=external", "/kafka/external/brokers"],
  ["kafka.external.brokers={kafka}", "/kafka/external/brokers/0"],
  ["etcd.replicas=2", "/etcd/replicas"],
  ["etcd.external={etcd:2379}", "/etcd/external/0"],
  ["etcd.storage=big", "/etcd/storage"],
  ["postgres.storage=", "/postgres/storage"],
  ["services.order.replica=2", "/services/order"],
  ["services.order.replicas=-1", "/services/order/replicas"],
  ["services.orders.replicas=1", "/services"],
  ["services.order.env.PATH=x", "PATH"],
  ["services.order.autoscaling.min=2", "/services/order/autoscaling"],
  ["services.order.resources.limits.memory=much", "/services/order/resources/limits/memory"],
  ["storefront.type=Public", "/storefront/type"],
  ["storefront.nodePort=80", "/storefront/nodePort"],
  ["image.tag=a b", "/image/tag"],
  ["image.pullPolicy=Sometimes", "/image/pullPolicy"],
  ["logLevel=loud", "/logLevel"],
  ["certificates.from=letsencrypt", "/certificates/from"],
  ["certificates.days=0", "/certificates/days"],
  ["otlpEndpoint=collector", "/otlpEndpoint"],
  ["prometheus.enable=true", "/prometheus"],
  [
    "services.order.autoscaling.min=1,services.order.autoscaling.max=2,services.order.autoscaling.lag=0",
    "/services/order/autoscaling",
  ],
  ["postgres.externalPort=0", "/postgres/externalPort"],
  ["image.pullSecrets=x", "/image/pullSecrets"],
  ["storageClass=1", "/storageClass"],
  ["chaos.enable=true", "/chaos"],
  ["chaos.failpoints=all", "/chaos/failpoints"],
] as const)
  test(`${set} is refused by name`, { skip }, () => {
    assert.ok(refusal("--set", set).includes(`'${field}'`), refusal("--set", set));
  });

const NEEDS: readonly (readonly [what: string, args: readonly string[], said: RegExp])[] = [
  [
    "Strimzi",
    [],
    /does not know kafka\.strimzi\.io\/v1: install Strimzi .* or set kafka\.mode to embedded or external/,
  ],
  [
    "cert-manager",
    [...STRIMZI, "--set", "certificates.from=cert-manager,certificates.issuer.name=x"],
    /does not know cert-manager\.io\/v1: install cert-manager, or set certificates\.from to chart/,
  ],
  [
    "the Prometheus operator",
    [...STRIMZI, "--set", "prometheus.operator=true"],
    /does not know monitoring\.coreos\.com\/v1: install the Prometheus operator/,
  ],
  [
    "a metrics adapter",
    [
      ...STRIMZI,
      "--set",
      "services.order.autoscaling.min=1,services.order.autoscaling.max=2,services.order.autoscaling.lag=9",
    ],
    /autoscaling\.lag of order needs a metrics adapter/,
  ],
];
for (const [what, args, said] of NEEDS)
  test(`a cluster without ${what} is told what to do`, { skip }, () => {
    assert.match(refusal(...args), said);
  });

test("cert-manager needs an issuer", { skip }, () => {
  const apis = ["--api-versions", "cert-manager.io/v1"];
  assert.match(refusal("--set", "certificates.from=cert-manager", ...apis, ...STRIMZI), /certificates\.issuer\.name/);
});

test("unread events scale only who reads events", { skip }, () => {
  const scaling =
    "services.payment.autoscaling.min=1,services.payment.autoscaling.max=2,services.payment.autoscaling.lag=9";
  const apis = ["--api-versions", "external.metrics.k8s.io/v1beta1"];
  assert.match(refusal("--set", scaling, ...apis, ...STRIMZI), /payment consumes no events/);
});
