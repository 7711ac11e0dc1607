/** Counts attempts by five labels; cheaper for each attempt than a counter that hashes them. Pure. */

export type AttemptLabels = {
  readonly server_address: string;
  readonly server_version: string;
  readonly rpc_method: string;
  readonly rpc_status_code: string;
  /** 1, 2, or 3 for all later ones. */
  readonly attempt: number;
};

/** A client that sees more than this has been told of too many versions; the rest counts under none. */
const MAX_SERIES = 1_000;
const LAST_ATTEMPT = 3;

export class AttemptCounts {
  readonly #counts = new Map<string, { readonly labels: AttemptLabels; count: number }>();

  add(labels: AttemptLabels): void {
    const { server_address, server_version, rpc_method, rpc_status_code, attempt } = labels;
    const key = `${server_address} ${server_version} ${rpc_method} ${rpc_status_code} ${attempt}`;
    const known = this.#counts.get(key);
    if (known !== undefined) known.count += 1;
    else if (attempt > LAST_ATTEMPT) this.add({ ...labels, attempt: LAST_ATTEMPT });
    else if (this.#counts.size < MAX_SERIES || server_version === "") this.#counts.set(key, { labels, count: 1 });
    else this.add({ ...labels, server_version: "" });
  }

  all(): Iterable<{ readonly labels: AttemptLabels; readonly count: number }> {
    return this.#counts.values();
  }
}
