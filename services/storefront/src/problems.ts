/** Failures as RFC 9457 problem details. Pure. */
import type { ErrorKind, FieldViolation } from "@ordermesh/mesh/errors";
import { MeshError } from "@ordermesh/mesh/errors";

export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: string;
  readonly violations?: readonly FieldViolation[];
  readonly traceId: string;
};

const HTTP_STATUS: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  "not-found": 404,
  exists: 409,
  exhausted: 429,
  unavailable: 503,
  conflict: 409,
  precondition: 409,
  forbidden: 403,
  cancelled: 499,
  deadline: 504,
  unimplemented: 501,
  internal: 500,
};
const TITLES: Readonly<Record<number, string>> = {
  400: "The request is not valid",
  403: "Not allowed",
  404: "Not found",
  409: "The state does not allow it",
  413: "The request is too large",
  415: "The content type is not supported",
  429: "Too many requests",
  499: "Cancelled",
  501: "Not available",
  503: "Not available now",
  504: "No answer in time",
};

/** What `POST /api/orders` and its like answer; what is not a MeshError shows nothing of itself. */
export function toProblem(error: unknown, traceId: string): Problem {
  const known = error instanceof MeshError ? error : fromFramework(error);
  const isBug = known === undefined || known.kind === "internal";
  const status = isBug ? 500 : frameworkStatus(error, HTTP_STATUS[known.kind]);
  const reason = isBug ? "INTERNAL" : known.reason;
  return {
    type: `/problems/${reason.toLowerCase().replaceAll("_", "-")}`,
    title: TITLES[status] ?? "Something went wrong",
    status,
    detail: isBug ? "It is not your fault; please try again." : known.message,
    reason,
    ...(known !== undefined && known.violations.length > 0 ? { violations: known.violations.map(inJsonWords) } : {}),
    traceId,
  };
}

/** `ship_to.postal_code` is `shipTo.postalCode` in JSON. */
function inJsonWords({ field, description }: FieldViolation): FieldViolation {
  return { field: field.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()), description };
}

type FrameworkError = Error & {
  statusCode?: number;
  code?: string;
  validation?: { instancePath: string; message?: string; params?: Record<string, unknown> }[];
};

function frameworkStatus(error: unknown, fallback: number): number {
  const { statusCode = fallback } = error as FrameworkError;
  return error instanceof MeshError ? fallback : statusCode;
}

/** Fastify's own refusals: schema violations, broken JSON, wrong content types, bodies over the limit. */
function fromFramework(error: unknown): MeshError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { statusCode, code, validation } = error as FrameworkError;
  if (validation !== undefined) {
    const violations = validation.map(({ instancePath, message = "is not valid", params }) => {
      const property = params?.missingProperty ?? params?.additionalProperty;
      const path = [...instancePath.split("/").slice(1), ...(typeof property === "string" ? [property] : [])];
      return { field: path.join("."), description: message };
    });
    return new MeshError("invalid", "REQUEST_INVALID", "the request does not fit the schema", {
      violations,
      cause: error,
    });
  }
  if (statusCode === undefined || statusCode >= 500) return undefined;
  const reason = statusCode === 413 ? "REQUEST_TOO_LARGE" : (code ?? "REQUEST_INVALID").replace("FST_ERR_", "");
  return new MeshError("invalid", reason, "the request cannot be read", { cause: error });
}
