/** The identity in a folder laid out like a Kubernetes TLS secret, read again when it changes. What is not valid changes nothing. */
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "./clock.ts";
import { MeshError } from "./errors.ts";
import { type Identity, type IdentityDocuments, type IdentitySource, parseIdentity } from "./identity.ts";
import type { MeshLog } from "./log.ts";
import type { IdentityMetrics } from "./metrics.ts";

/** A mounted secret changes by a swapped link, which file watches miss; three small files are cheap to read. */
const POLL_MS = 2_000;

type Options = {
  /** Holds `tls.crt`, `tls.key` and `ca.crt`. */
  readonly dir: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: MeshLog;
  readonly metrics: IdentityMetrics;
};

export class IdentityFiles implements IdentitySource {
  readonly #options: Options;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #current: Identity;
  /** What was refused, so that it is reported once. */
  #refused: IdentityDocuments | undefined;

  /** @throws MeshError invalid IDENTITY_INVALID */
  constructor(options: Options) {
    this.#options = options;
    this.#current = parseIdentity(readDocuments(options.dir), options.trustDomain, options.clock.wallMs());
    options.metrics.identityExpiry.set(this.#current.expiresAtMs / 1_000);
    this.#timer = setInterval(() => this.#reload(), POLL_MS).unref();
  }

  get current(): Identity {
    return this.#current;
  }

  get trustDomain(): string {
    return this.#options.trustDomain;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #reload(): void {
    const { dir, trustDomain, clock, log, metrics } = this.#options;
    let documents: IdentityDocuments | undefined;
    try {
      documents = readDocuments(dir);
      if (isSame(documents, this.#current) || isSame(documents, this.#refused)) return;
      this.#current = parseIdentity(documents, trustDomain, clock.wallMs());
    } catch (error) {
      this.#refused = documents;
      metrics.identityReloads.inc({ result: "refused" });
      log.warn({ "error.message": (error as Error).message }, "identity refused; keeping the last good one");
      return;
    }
    metrics.identityReloads.inc({ result: "applied" });
    metrics.identityExpiry.set(this.#current.expiresAtMs / 1_000);
    log.info({ "tls.client.not_after": new Date(this.#current.expiresAtMs).toISOString() }, "identity renewed");
    for (const listener of this.#listeners) listener();
  }
}

/** From one folder even while the link to it is swapped. @throws MeshError invalid IDENTITY_INVALID */
function readDocuments(dir: string): IdentityDocuments {
  try {
    const folder = dirname(realpathSync(join(dir, "tls.crt")));
    const [certificate = "", key = "", authorities = ""] = ["tls.crt", "tls.key", "ca.crt"].map((name) =>
      readFileSync(join(folder, name), "utf8"),
    );
    return { certificate, key, authorities };
  } catch (error) {
    const { code = "", path = dir } = error as NodeJS.ErrnoException;
    throw new MeshError("invalid", "IDENTITY_INVALID", `${path} cannot be read (${code})`, { cause: error });
  }
}

function isSame(left: IdentityDocuments, right: IdentityDocuments | undefined): boolean {
  return left.certificate === right?.certificate && left.key === right.key && left.authorities === right.authorities;
}
