/** A certificate authority of this machine's system: short-lived certificates for its services, renewed while it runs. */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { spiffeId } from "@ordermesh/mesh/identity";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

export const TRUST_DOMAIN = "ordermesh";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks differ. */
const SKEW_MS = 60_000;
const AUTHORITY_LIFETIME_MS = 365 * 86_400_000;
const LIFETIME_MS = 3_600_000;
/** A missed renewal leaves time for two more. */
const RENEWALS_PER_LIFETIME = 3;

/** The browser's types, which @peculiar/x509 uses, lack some key usages of Node's. */
type KeyPair = CryptoKeyPair;

export class Authority {
  readonly #dir: string;
  readonly #certificate: X509Certificate;
  readonly #keys: KeyPair;
  readonly #lifetimeMs: number;
  readonly #services = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #issued = 0;

  private constructor(dir: string, certificate: X509Certificate, keys: KeyPair, lifetimeMs: number) {
    this.#dir = dir;
    this.#certificate = certificate;
    this.#keys = keys;
    this.#lifetimeMs = lifetimeMs;
  }

  /** Its key stays in memory; `dir` gets a folder for each service, replaced when its certificate is renewed. */
  static async create(dir: string, lifetimeMs = LIFETIME_MS): Promise<Authority> {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    const keys = await newKeys();
    const nowMs = Date.now();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomBytes(8).toString("hex"),
      name: "CN=Ordermesh local authority",
      notBefore: new Date(nowMs - SKEW_MS),
      notAfter: new Date(nowMs + AUTHORITY_LIFETIME_MS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new Authority(dir, certificate, keys, lifetimeMs);
  }

  /** Folder with `tls.crt`, `tls.key` and `ca.crt` of `service`, whether it has been issued or not. */
  folderOf(service: string): string {
    return join(this.#dir, service);
  }

  /** Writes a new certificate of `service` and swaps its folder for the new one in one step. */
  async issue(service: string, lifetimeMs = this.#lifetimeMs): Promise<void> {
    const keys = await newKeys();
    const leaf = await this.#sign(service, keys, lifetimeMs);
    const folder = join(this.#dir, `.${service}-${this.#issued++}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "tls.crt"), leaf.toString("pem"));
    writeFileSync(join(folder, "tls.key"), await pemOf(keys.privateKey), { mode: 0o600 });
    writeFileSync(join(folder, "ca.crt"), this.#certificate.toString("pem"));
    const link = `${folder}.link`;
    symlinkSync(basename(folder), link);
    renameSync(link, this.folderOf(service));
    this.#services.add(service);
  }

  /** Renews what was issued until `close`. */
  keepRenewing(everyMs = this.#lifetimeMs / RENEWALS_PER_LIFETIME): void {
    this.#timer = setInterval(() => {
      for (const service of this.#services) void this.issue(service);
    }, everyMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sign(service: string, keys: KeyPair, lifetimeMs: number): Promise<X509Certificate> {
    const nowMs = Date.now();
    return X509CertificateGenerator.create({
      serialNumber: randomBytes(8).toString("hex"),
      subject: `CN=${service}`,
      issuer: this.#certificate.subject,
      notBefore: new Date(nowMs - SKEW_MS),
      notAfter: new Date(nowMs + lifetimeMs),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension([{ type: "url", value: spiffeId(TRUST_DOMAIN, service) }]),
      ],
    });
  }
}

async function newKeys(): Promise<KeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as KeyPair;
}

async function pemOf(key: CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key as webcrypto.CryptoKey)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${base64.replace(/(.{64})/g, "$1\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
}
