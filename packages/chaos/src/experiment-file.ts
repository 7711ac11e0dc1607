/** Experiments as files: what `kubectl apply -f` takes, read for a run without Kubernetes. Pure. */
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { Experiment } from "./backend.ts";
import { API_VERSION, checkSpec, KIND } from "./experiment.ts";

const MAX_CHARACTERS = 256 * 1024;

const resource = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: z.object({
    name: z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, "must be a lower-case DNS name"),
    namespace: z.string().max(63).optional(),
  }),
  spec: z.unknown(),
});

/** Wrong input; the message has a line for each thing that is wrong. */
export class ExperimentFileError extends Error {
  override readonly name = "ExperimentFileError";
}

type Given = { readonly createdAtMs: number; readonly uid: (name: string) => string };

/** All experiments of a file, in its order. @throws ExperimentFileError */
export function readExperiments(text: string, { createdAtMs, uid }: Given): Experiment[] {
  if (text.length > MAX_CHARACTERS)
    throw new ExperimentFileError(`the file is longer than ${MAX_CHARACTERS} characters`);
  const documents = parseAllDocuments(text, { uniqueKeys: true });
  if (!Array.isArray(documents) || documents.length === 0)
    throw new ExperimentFileError("the file holds no experiment");
  const problems = documents.flatMap(({ errors }) => errors.map(({ message }) => message.split("\n")[0] ?? message));
  if (problems.length > 0) throw new ExperimentFileError(problems.join("\n"));
  return documents.map((document) => {
    const read = resource.safeParse(document.toJS({ maxAliasCount: 20 }));
    if (!read.success)
      throw new ExperimentFileError(
        read.error.issues.map(({ path, message }) => `${path.join(".") || "the document"}: ${message}`).join("\n"),
      );
    const { metadata, spec } = read.data;
    const checked = checkSpec(spec);
    if ("violations" in checked)
      throw new ExperimentFileError(
        checked.violations.map(({ field, message }) => `${metadata.name}: spec.${field}: ${message}`).join("\n"),
      );
    return {
      name: metadata.name,
      namespace: metadata.namespace ?? "local",
      uid: uid(metadata.name),
      generation: 1,
      createdAtMs,
      isBeingDeleted: false,
      spec: checked.spec,
      status: undefined,
    };
  });
}
