/** MeshError to and from a gRPC status with `google.rpc` details: the only place where the taxonomy meets the wire. */
import { Metadata, status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo } from "@ordermesh/proto/google/rpc/error_details";
import { Status } from "@ordermesh/proto/google/rpc/status";
import { type ErrorKind, type FieldViolation, MeshError } from "./errors.ts";

const DETAILS_KEY = "grpc-status-details-bin";
const DOMAIN = "ordermesh";
const TYPE_URL = "type.googleapis.com/";

/** A status as grpc-js takes and gives it. */
export type WireStatus = { readonly code: status; readonly details: string; readonly metadata: Metadata };

export const STATUS_BY_KIND = {
  invalid: status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  exists: status.ALREADY_EXISTS,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  conflict: status.ABORTED,
  precondition: status.FAILED_PRECONDITION,
  forbidden: status.PERMISSION_DENIED,
  cancelled: status.CANCELLED,
  deadline: status.DEADLINE_EXCEEDED,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorKind, status>;

const KIND_BY_STATUS = new Map<status, ErrorKind>(
  Object.entries(STATUS_BY_KIND).map(([kind, code]) => [code, kind as ErrorKind]),
);

/** The status that `error` leaves the process with. A bug leaves as INTERNAL without its text, which may be private. */
export function toStatus(error: unknown): WireStatus {
  const metadata = new Metadata();
  if (!(error instanceof MeshError)) return { code: status.INTERNAL, details: "INTERNAL: unexpected error", metadata };
  const code = STATUS_BY_KIND[error.kind];
  metadata.set(DETAILS_KEY, encodeDetails(code, error));
  return { code, details: `${error.reason}: ${error.message}`, metadata };
}

/** The failure that a status stands for, with the reason and the violations that the other side gave. */
export function fromStatus(wire: { code: status; details: string; metadata?: Metadata }): MeshError {
  return statusError(wire.code, wire.details, wire.metadata?.get(DETAILS_KEY)[0]);
}

/** The same for a status as it comes from the wire; `details` are the bytes of `grpc-status-details-bin`. */
export function statusError(code: status, text: string, details?: unknown): MeshError {
  const kind = KIND_BY_STATUS.get(code) ?? "internal";
  const { reason, violations } = decodeDetails(details);
  if (reason === undefined) return new MeshError(kind, `TRANSPORT_${status[code] ?? "UNKNOWN"}`, text);
  return new MeshError(kind, reason, text.replace(`${reason}: `, ""), { violations });
}

function encodeDetails(code: status, error: MeshError): Buffer {
  const info = ErrorInfo.encode({ reason: error.reason, domain: DOMAIN, metadata: {} }).finish();
  const details = [{ typeUrl: `${TYPE_URL}google.rpc.ErrorInfo`, value: Buffer.from(info) }];
  if (error.violations.length > 0) {
    const value = BadRequest.encode({ fieldViolations: [...error.violations] }).finish();
    details.push({ typeUrl: `${TYPE_URL}google.rpc.BadRequest`, value: Buffer.from(value) });
  }
  return Buffer.from(Status.encode({ code, message: error.message, details }).finish());
}

type Details = { reason: string | undefined; violations: readonly FieldViolation[] };

/** Details come from the other side, so anything that cannot be read counts as absent. */
function decodeDetails(value: unknown): Details {
  const found: { reason: string | undefined; violations: FieldViolation[] } = { reason: undefined, violations: [] };
  if (!Buffer.isBuffer(value)) return found;
  try {
    for (const detail of Status.decode(value).details) {
      if (detail.typeUrl.endsWith("google.rpc.ErrorInfo")) found.reason = ErrorInfo.decode(detail.value).reason;
      if (detail.typeUrl.endsWith("google.rpc.BadRequest"))
        found.violations.push(...BadRequest.decode(detail.value).fieldViolations);
    }
  } catch {
    return { reason: undefined, violations: [] };
  }
  return found;
}

/** The status code's name for metrics: `OK` is not an error's. */
export function statusName(error: unknown): string {
  return status[error instanceof MeshError ? STATUS_BY_KIND[error.kind] : status.INTERNAL] ?? "INTERNAL";
}
