/** Who a process is to others: a certificate with a SPIFFE id (https://spiffe.io) or a DNS name, its key, and whom it believes. Rules only. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { MeshError } from "./errors.ts";

/** PEM texts, as in a Kubernetes TLS secret. */
export type IdentityDocuments = {
  /** Leaf first, then what leads to an authority. */
  readonly certificate: string;
  readonly key: string;
  readonly authorities: string;
};

export type Identity = IdentityDocuments & {
  /** Name of the service that the certificate stands for. */
  readonly service: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
};

/** An identity that is renewed while the process runs. */
export type IdentitySource = {
  readonly current: Identity;
  /** First part of every SPIFFE id that is believed. */
  readonly trustDomain: string;
  onChange(listener: () => void): void;
  close(): void;
};

/** What a connection needs to know whom it talks to. */
export type PeerSecurity = { readonly source: IdentitySource; readonly service: string };

export const TLS_VERSION = "TLSv1.3";

const SEPARATOR = ", ";

/** `spiffe://<trust domain>/service/<service>`. */
export function spiffeId(trustDomain: string, service: string): string {
  return `spiffe://${trustDomain}/service/${service}`;
}

/**
 * The service that a certificate stands for, from its subject alternative names as Node prints them: of its one URI (SPIFFE
 * X.509-SVID 2), or, where what makes certificates knows no URIs, of its one DNS name `<service>.<trust domain>`.
 */
export function serviceOf(subjectAltName: string | undefined, trustDomain: string): string | undefined {
  const names = (subjectAltName ?? "").split(SEPARATOR);
  const uris = names.filter((name) => name.startsWith("URI:"));
  const [name = "", another] = uris.length > 0 ? uris : names;
  const service =
    uris.length > 0 ? between(name, `URI:${spiffeId(trustDomain, "")}`, "") : between(name, "DNS:", `.${trustDomain}`);
  return another === undefined && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(service) ? service : undefined;
}

/** Empty when the text does not begin and end so. Node quotes a name that could be taken for several. */
function between(text: string, prefix: string, suffix: string): string {
  return text.startsWith(prefix) && text.endsWith(suffix) ? text.slice(prefix.length, text.length - suffix.length) : "";
}

/** @throws MeshError invalid IDENTITY_INVALID: the texts are not what they should be, do not fit together, or have expired */
export function parseIdentity(documents: IdentityDocuments, trustDomain: string, wallMs: number): Identity {
  const certificate = read("tls.crt", () => new X509Certificate(documents.certificate));
  const key = read("tls.key", () => createPrivateKey(documents.key));
  read("ca.crt", () => new X509Certificate(documents.authorities));
  const service = serviceOf(certificate.subjectAltName, trustDomain);
  const expiresAtMs = certificate.validToDate.getTime();
  if (service === undefined) throw invalid(`tls.crt has no name ${spiffeId(trustDomain, "…")}`);
  if (!certificate.checkPrivateKey(key)) throw invalid("tls.key is not the key of tls.crt");
  if (expiresAtMs <= wallMs) throw invalid(`tls.crt expired at ${certificate.validTo}`);
  return { ...documents, service, expiresAtMs };
}

const contexts = new WeakMap<Identity, SecureContext>();

/** Made once for each identity, as it costs a millisecond. */
export function secureContextOf(identity: Identity): SecureContext {
  const known = contexts.get(identity);
  if (known !== undefined) return known;
  const { certificate: cert, key, authorities: ca } = identity;
  const made = createSecureContext({ cert, key, ca, minVersion: TLS_VERSION });
  contexts.set(identity, made);
  return made;
}

/** Why the certificate of a server is not the one of the service that was called; undefined when it is. For `checkServerIdentity`. */
export function whyNotServer(
  { source, service }: PeerSecurity,
  certificate: { readonly subjectaltname?: string | undefined },
): Error | undefined {
  const found = serviceOf(certificate.subjectaltname, source.trustDomain);
  if (found === service) return undefined;
  return new Error(`the server is ${found ?? "nobody of this mesh"} and not ${service}`);
}

function read<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new MeshError("invalid", "IDENTITY_INVALID", `${file} is not valid PEM`, { cause: error });
  }
}

function invalid(message: string): MeshError {
  return new MeshError("invalid", "IDENTITY_INVALID", message);
}
