/** A controller that aborts by itself or with a signal that lives longer. */

/**
 * Abort it when it is of no more use: then nothing of it is left at `parent`, where `AbortSignal.any` leaves weak references that two
 * collections of V8 take away.
 */
export function abortWith(parent: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  if (parent === undefined) return controller;
  const follow = () => controller.abort(parent.reason);
  if (parent.aborted) {
    follow();
    return controller;
  }
  parent.addEventListener("abort", follow, { once: true });
  // Not the option `signal` of the listener above: it is kept by weak references too.
  controller.signal.addEventListener("abort", () => parent.removeEventListener("abort", follow), { once: true });
  return controller;
}
