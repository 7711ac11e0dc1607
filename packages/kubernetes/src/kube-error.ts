/** What an API server answers when it does not do what was asked. */

/** `status` is HTTP's, 0 when there was no answer; `reason` is Kubernetes' word, such as `Conflict` or `Expired`. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly status: number;
  readonly reason: string;
  /** What the server asks to wait for, 0 when it does not say. */
  readonly retryAfterMs: number;

  constructor(status: number, reason: string, message: string, options: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(message, options);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export function isStatus(error: unknown, ...statuses: readonly number[]): error is KubeError {
  return error instanceof KubeError && statuses.includes(error.status);
}

/** Nobody answered, or one that says it cannot just now. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

/** Undefined where the server has nothing of that name; any other failure stays one. */
export async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isStatus(error, 404)) return undefined;
    throw error;
  }
}
