/** The CustomResourceDefinition, made from the schemas and rules that files are checked by too. Pure. */
import { z } from "zod";
import { API_VERSION, experimentSpec, KIND, RULES } from "./experiment.ts";
import { experimentStatus } from "./status-schema.ts";

export const [GROUP = "", VERSION = ""] = API_VERSION.split("/");
export const PLURAL = "chaosexperiments";

type Schema = { [key: string]: unknown };

/** What OpenAPI v3 in a CRD has no word for: rules say it, strict decoding does it, or it bounds nothing. */
const DROPPED = new Set(["$schema", "propertyNames", "format"]);

/** A structural schema: no `additionalProperties: false`, no unions of types. */
function structural(schema: Schema): Schema {
  const { anyOf, ...rest } = schema;
  if (Array.isArray(anyOf)) {
    const [first] = anyOf.filter(({ type }: Schema) => type !== "null");
    return { ...structural({ ...first, ...rest }), nullable: true };
  }
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
      if (DROPPED.has(key) || (key === "additionalProperties" && value === false)) return [];
      if (key === "properties" && Object.keys(value as Schema).length > 0) return [[key, ofEach(value as Schema)]];
      if (key === "items" || key === "additionalProperties") return [[key, structural(value as Schema)]];
      return key === "properties" ? [] : [[key, value]];
    }),
  );
}

const ofEach = (properties: Schema): Schema =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, structural(schema as Schema)]));

/**
 * Only `abort` can be changed, and only once. Every rule hangs on the spec, which is always there: a rule of an optional
 * field would not run when that field appears or goes.
 */
function transitionRules(spec: Schema) {
  const { properties, required } = spec as { properties: Record<string, Schema>; required: string[] };
  const same = Object.entries(properties)
    .filter(([name]) => name !== "abort")
    .map(([name, schema]) =>
      required.includes(name) || "default" in schema
        ? `self.${name} == oldSelf.${name}`
        : `(has(self.${name}) == has(oldSelf.${name}) && (!has(self.${name}) || self.${name} == oldSelf.${name}))`,
    );
  return [
    { rule: same.join(" && "), message: "the spec is immutable; only abort may be set" },
    { rule: "!oldSelf.abort || self.abort", message: "abort cannot be undone", fieldPath: ".abort" },
  ];
}

const rules = () => RULES.map(({ cel, field, message }) => ({ rule: cel, message: `${field} ${message}` }));

const column = (name: string, jsonPath: string, type = "string", description = "") => ({
  name,
  type,
  jsonPath,
  ...(description === "" ? {} : { description }),
});

/** The document as it is applied. */
export function chaosCrd(): object {
  const spec = structural(z.toJSONSchema(experimentSpec, { io: "input", target: "draft-07" }));
  const status = structural(z.toJSONSchema(experimentStatus, { io: "input", target: "draft-07" }));
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${PLURAL}.${GROUP}`, labels: { "app.kubernetes.io/part-of": "ordermesh" } },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: "chaosexperiment",
        shortNames: ["cx"],
        categories: ["chaos"],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          selectableFields: [{ jsonPath: ".status.verdict" }, { jsonPath: ".status.phase" }],
          additionalPrinterColumns: [
            column("Action", ".spec.action.type"),
            column("Target", ".status.target", "string", "Taken of those that match"),
            column("Phase", ".status.phase"),
            column("Verdict", ".status.verdict"),
            column("Reason", ".status.reason"),
            column("Healed", '.status.conditions[?(@.type=="Healed")].status'),
            column(
              "TTR",
              ".status.timeToRecoverSeconds",
              "number",
              "Seconds from the end of the fault to steady state",
            ),
            column("Age", ".metadata.creationTimestamp", "date"),
          ],
          schema: {
            openAPIV3Schema: {
              type: "object",
              description: "A fault with a hypothesis, and a verdict about orders.",
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: { ...spec, "x-kubernetes-validations": [...rules(), ...transitionRules(spec)] },
                status,
              },
            },
          },
        },
      ],
    },
  };
}
