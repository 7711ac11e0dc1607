/** An endpoint and its document in the registry. Pure: no store, no connections. */
import { MeshError } from "./errors.ts";

/** Where one instance of a service answers. */
export type Endpoint = {
  readonly service: string;
  /** Unique within the service. */
  readonly instance: string;
  /** `host:port` of the gRPC server. */
  readonly address: string;
  /** `host:port` of the admin server. */
  readonly adminAddress: string;
  readonly version: string;
  readonly zone: string;
  /** Share of the load against the other endpoints, 1 to 100. */
  readonly weight: number;
  readonly protocol: "grpc";
  readonly pod: string;
  readonly node: string;
};

const MAX_TEXT_CHARACTERS = 253;
const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9][0-9]{0,4})$/;

/** `<prefix>/endpoints/<service>/<instance>`. */
export function endpointKey(prefix: string, endpoint: Pick<Endpoint, "service" | "instance">): string {
  return `${prefix}/endpoints/${endpoint.service}/${endpoint.instance}`;
}

/** @throws MeshError invalid ENDPOINT_INVALID, without the document's text */
export function parseEndpoint(key: string, document: string): Endpoint {
  const fields = parseObject(document);
  const { weight, protocol } = fields;
  const text = (name: string) => {
    const value = fields[name];
    if (typeof value !== "string" || value.length > MAX_TEXT_CHARACTERS) throw invalid(`${name} must be a short text`);
    return value;
  };
  const endpoint: Endpoint = {
    service: text("service"),
    instance: text("instance"),
    address: text("address"),
    adminAddress: text("adminAddress"),
    version: text("version"),
    zone: text("zone"),
    weight: Number(weight),
    protocol: "grpc",
    pod: text("pod"),
    node: text("node"),
  };
  if (protocol !== "grpc") throw invalid('protocol must be "grpc"');
  if (!key.endsWith(`/${endpoint.service}/${endpoint.instance}`)) throw invalid("the key names another instance");
  if (!isAddress(endpoint.address)) throw invalid("address must be host:port that others can reach");
  if (!Number.isInteger(endpoint.weight) || endpoint.weight < 1 || endpoint.weight > 100)
    throw invalid("weight must be a whole number from 1 to 100");
  return endpoint;
}

/** True for `host:port` with a real port and not the wildcard host. */
export function isAddress(text: string): boolean {
  const match = ADDRESS.exec(text);
  return match !== null && Number(match[3]) <= 65_535 && match[1] !== "0.0.0.0" && match[1] !== "[::]";
}

type Fields = Record<string, unknown> & { readonly weight?: unknown; readonly protocol?: unknown };

function parseObject(document: string): Fields {
  try {
    const value: unknown = JSON.parse(document);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new MeshError("invalid", "ENDPOINT_INVALID", "the document is not JSON", { cause: error });
  }
  throw invalid("the document must be a JSON object");
}

function invalid(message: string): MeshError {
  return new MeshError("invalid", "ENDPOINT_INVALID", message);
}
