/** Failures as RFC 9457 problem details. Pure. */
import { type ErrorKind, type FieldViolation, MeshError } from "@ordermesh/mesh/errors";

export type Problem = {
  /** `/problems/<reason in kebab case>`, relative to the shop. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Stable identifier; docs/errors.md lists all. */
  readonly reason: string;
  /** Paths as in the request's JSON; at most 20. Absent when there are none. */
  readonly violations?: readonly FieldViolation[];
  /** 32 hex digits. */
  readonly traceId: string;
};

const MAX_VIOLATIONS = 20;

type Face = {
  readonly status: number;
  readonly title: string;
  /** Said instead of the error's message, which may name what lies behind the shop. */
  readonly detail?: string;
};

/** The HTTP column of docs/errors.md. */
const KINDS: Readonly<Record<ErrorKind, Face>> = {
  invalid: { status: 400, title: "The request is not valid" },
  "not-found": { status: 404, title: "Not found" },
  exists: { status: 409, title: "It exists already" },
  exhausted: { status: 429, title: "Too much at once" },
  unavailable: { status: 503, title: "Not available right now", detail: "please try again in a moment" },
  conflict: { status: 409, title: "Somebody was faster", detail: "please look again, then try again" },
  precondition: { status: 409, title: "It is too late for that" },
  forbidden: { status: 403, title: "Not allowed" },
  cancelled: { status: 499, title: "Cancelled", detail: "the request was given up" },
  deadline: { status: 504, title: "No answer in time", detail: "it may have happened; asking again does no harm" },
  unimplemented: { status: 501, title: "Not available", detail: "the shop cannot do this yet" },
  internal: { status: 500, title: "Something went wrong", detail: "this is our fault; please try again" },
};

/** What an error that nobody expected looks like from outside. */
const BUG = new MeshError("internal", "INTERNAL", "unexpected error");

/** What the shop answers when `error` was thrown. An error that nobody expected shows nothing of itself. */
export function toProblem(error: unknown, traceId: string): Problem {
  const { kind, reason, message, violations } = known(error);
  const { status, title, detail = message } = KINDS[kind];
  const shown = violations.slice(0, MAX_VIOLATIONS).map(inJsonWords);
  return {
    type: `/problems/${reason.toLowerCase().replaceAll("_", "-")}`,
    title,
    status: error instanceof MeshError || kind === "internal" ? status : statusOf(error),
    detail,
    reason,
    ...(shown.length === 0 ? {} : { violations: shown }),
    traceId,
  };
}

function known(error: unknown): MeshError {
  if (error instanceof MeshError) return error.kind === "internal" ? BUG : error;
  return fromFastify(error) ?? BUG;
}

/** `ship_to.postal_code` is `shipTo.postalCode` in JSON, and the idempotency key is a header. */
function inJsonWords({ field, description }: FieldViolation): FieldViolation {
  if (field === "idempotency_key") return { field: "Idempotency-Key", description };
  return { field: field.replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()), description };
}

type FastifyError = Error & {
  readonly statusCode?: number;
  readonly validation?: readonly Violation[];
};
type Violation = { instancePath: string; message?: string; params?: Record<string, unknown> };

/** Fastify's own refusals: schema violations, broken JSON, foreign content types, bodies over the limit. */
function fromFastify(error: unknown): MeshError | undefined {
  if (!(error instanceof Error) || statusOf(error) >= 500) return undefined;
  const { validation } = error as FastifyError;
  if (validation !== undefined) {
    const options = { violations: validation.map(toViolation), cause: error };
    return new MeshError(
      "invalid",
      "REQUEST_INVALID",
      "the request does not have the shape that the API wants",
      options,
    );
  }
  switch (statusOf(error)) {
    case 413:
      return new MeshError("invalid", "BODY_TOO_LARGE", "the body is too large", { cause: error });
    case 415:
      return new MeshError("invalid", "MEDIA_TYPE_UNSUPPORTED", "the content type is not supported", { cause: error });
    default:
      return new MeshError("invalid", "REQUEST_UNREADABLE", "the request cannot be read", { cause: error });
  }
}

function statusOf(error: unknown): number {
  return (error as FastifyError).statusCode ?? 500;
}

/** `/lines/0/sku` is `lines[0].sku`; what is missing or too much is named itself. */
function toViolation({ instancePath, message = "is not valid", params }: Violation): FieldViolation {
  const property = params?.missingProperty ?? params?.additionalProperty;
  const path = typeof property === "string" ? `${instancePath}/${property}` : instancePath;
  const field = path
    .slice(1)
    .replaceAll(/\/(\d+)/g, "[$1]")
    .replaceAll("/", ".");
  return { field: field === "idempotency-key" ? "Idempotency-Key" : field || "body", description: message };
}
