/** Renders helm/ordermesh/README.md from the values and their comments, as helm-docs does. */
import { readFileSync } from "node:fs";
import { isMap, type Pair, parseDocument, type Scalar } from "yaml";
import { ROOT } from "./sources.ts";

type Row = { readonly path: string; readonly value: string; readonly help: string };

export function renderChartReadme(): string {
  const rows = rowsOf(parseDocument(readFileSync(`${ROOT}helm/ordermesh/values.yaml`, "utf8")).contents, "", "");
  return `<!-- Made by \`make gen\` from values.yaml; a test fails when it is stale. -->

# The chart ordermesh

Installs the services with etcd, PostgreSQL, Kafka and a small Prometheus, or with yours, into one namespace. Helm 3.16 or newer, or 4.

\`\`\`sh
kubectl apply -f k8s/namespace.yaml
helm install ordermesh helm/ordermesh -n ordermesh --set image.repository=registry.example/ordermesh,image.tag=1.2.3
helm test ordermesh -n ordermesh
\`\`\`

- Profiles: \`profiles/dev.yaml\` (one of everything, little memory), none (two of each service), \`profiles/ha.yaml\` (three of
  everything); \`profiles/embedded.yaml\` on top of one takes Kafka without Strimzi. How Strimzi is installed: [k8s](../../k8s/README.md).
- \`files/services.yaml\` is the one table of who calls whom: wiring, NetworkPolicies, certificates, Kafka users and rights follow from it.
- A missing secret, operator or adapter is refused before anything is made; wrong values are refused with the field's name.
- \`helm uninstall\` leaves the volumes of etcd, PostgreSQL and Kafka, and the secret \`<release>-postgres\` that opens them. To drop these too:
  \`kubectl -n ordermesh delete pvc,secret -l app.kubernetes.io/instance=ordermesh\`.

| value | default | what |
| --- | --- | --- |
${rows.map(({ path, value, help }) => `| \`${path}\` | \`${value}\` | ${help} |`).join("\n")}
`;
}

/** A row for each value that has a comment of its own or is no map; comments of maps go to what is in them. */
function rowsOf(node: unknown, prefix: string, inherited: string): Row[] {
  if (!isMap(node)) return [];
  return node.items.flatMap((pair, index) => {
    const { key, value } = pair as Pair<Scalar<string>, unknown>;
    const path = prefix === "" ? key.value : `${prefix}.${key.value}`;
    // The comment of a map's first key is kept at the map.
    const help = helpOf(key.commentBefore ?? (index === 0 ? node.commentBefore : undefined)) || inherited;
    if (isMap(value) && value.items.length > 0 && !value.flow) return rowsOf(value, path, help);
    return [{ path, value: JSON.stringify(pair.value === null ? null : (value as Scalar).toJSON()), help }];
  });
}

/** What stands after `# --`, which may go on in the next lines. */
function helpOf(comment: string | null | undefined): string {
  const said = comment?.split(" -- ").at(1) ?? "";
  return said.replaceAll(/\n ?/g, " ").replaceAll("|", "\\|").trim();
}
