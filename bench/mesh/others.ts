/** Other clients of gRPC in TypeScript, each as its own documentation says, with a deadline and round robin. */
import { env } from "node:process";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { BytesValueSchema, FileDescriptorProtoSchema, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { credentials } from "@grpc/grpc-js";
import { createChannel, createClientFactory } from "nice-grpc";
import { deadlineMiddleware } from "nice-grpc-client-middleware-deadline";
import { readCertificates } from "./certificates.ts";
import { asBuffer, BODY, ECHO, PATH } from "./echo.ts";

export const TIMEOUT_MS = 1_000;
export const ROUND_ROBIN = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.enable_channelz": 0,
};

export type Say = () => Promise<unknown>;

export function grpcCredentials() {
  const files = readCertificates(env, "bench");
  if (files === undefined) return credentials.createInsecure();
  return credentials.createSsl(files.ca, files.key, files.cert, { checkServerIdentity: () => undefined });
}

/** nice-grpc over grpc-js, without a codec as the others. */
export function niceGrpc(targets: readonly string[]): Say {
  const unchanged = (bytes: Uint8Array) => bytes;
  const say = {
    path: PATH,
    requestStream: false as const,
    responseStream: false as const,
    requestSerialize: asBuffer,
    requestDeserialize: unchanged,
    responseSerialize: asBuffer,
    responseDeserialize: unchanged,
    options: {},
  };
  const channel = createChannel(`ipv4:${targets.join(",")}`, grpcCredentials(), ROUND_ROBIN);
  const client = createClientFactory().use(deadlineMiddleware).create({ say }, channel);
  return () => client.say(BODY, { deadline: TIMEOUT_MS });
}

/** connect-node with its gRPC transport: a transport has one server, so they take turns. Its message is a BytesValue, 3 bytes longer. */
export function connectNode(targets: readonly string[]): Say {
  const [packageName, name] = [ECHO.fullName.slice(0, -ECHO.name.length - 1), ECHO.name];
  const [inputType, outputType] = [`.${BytesValueSchema.typeName}`, `.${BytesValueSchema.typeName}`];
  const method = [{ name: ECHO.methods.say.name, inputType, outputType }];
  const dependency = [file_google_protobuf_wrappers.proto.name];
  const file = { name: "echo.proto", package: packageName, syntax: "proto3", dependency, service: [{ name, method }] };
  const registry = createFileRegistry(create(FileDescriptorProtoSchema, file), () => file_google_protobuf_wrappers);
  const service = registry.getService(ECHO.fullName);
  if (service === undefined) throw new Error("the echo service was not described");
  const files = readCertificates(env, "bench");
  const scheme = files === undefined ? "http" : "https";
  const nodeOptions = files === undefined ? {} : { ...files, checkServerIdentity: () => undefined };
  const clients = targets.map((address) => {
    const transport = createGrpcTransport({ baseUrl: `${scheme}://${address}`, nodeOptions });
    return createClient(service, transport) as unknown as {
      say: (request: object, options: object) => Promise<unknown>;
    };
  });
  let turn = 0;
  return () => {
    turn = (turn + 1) % clients.length;
    return (
      clients[turn]?.say({ value: BODY }, { timeoutMs: TIMEOUT_MS }) ?? Promise.reject(new RangeError("no target"))
    );
  };
}
