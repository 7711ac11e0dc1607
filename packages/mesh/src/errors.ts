/** The error taxonomy that both sides of a call share. Knows neither gRPC nor HTTP. */

/** What a caller can do about a failure; the table in docs/errors.md says what each kind asks for. */
export type ErrorKind =
  | "invalid"
  | "not-found"
  | "exists"
  | "exhausted"
  | "unavailable"
  | "conflict"
  | "precondition"
  | "forbidden"
  | "cancelled"
  | "deadline"
  | "unimplemented"
  | "internal";

/** One wrong field of a request; `field` is a path such as `lines[0].quantity`. */
export type FieldViolation = { readonly field: string; readonly description: string };

/** An expected failure that a caller can act on. Anything else that is thrown is a bug. */
export class MeshError extends Error {
  override readonly name = "MeshError";
  readonly kind: ErrorKind;
  /** Stable UPPER_SNAKE_CASE identifier, unique in the system (AIP-193 `ErrorInfo.reason`). */
  readonly reason: string;
  /** Empty unless the kind is `invalid`. */
  readonly violations: readonly FieldViolation[];

  constructor(
    kind: ErrorKind,
    reason: string,
    message: string,
    options?: ErrorOptions & { violations?: readonly FieldViolation[] },
  ) {
    super(message, options);
    this.kind = kind;
    this.reason = reason;
    this.violations = options?.violations ?? [];
  }
}

/**
 * An attempt that no server began to serve, so repeating it is safe whatever it does. Only connections throw it: across a
 * call it becomes a plain MeshError, as what a server could not begin says nothing about the server itself.
 */
export class NotBegunError extends MeshError {
  constructor(message: string) {
    super("unavailable", "TRANSPORT_NOT_BEGUN", message);
  }
}

/** True when `error` is a MeshError of one of the kinds. */
export function isKind(error: unknown, ...kinds: readonly ErrorKind[]): error is MeshError {
  return error instanceof MeshError && kinds.includes(error.kind);
}
