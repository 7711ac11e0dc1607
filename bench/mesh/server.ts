/** An echo server of a benchmark, a plain grpc-js one; prints its address. Argument: milliseconds before it answers. */
import { argv, env } from "node:process";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { readCertificates } from "./certificates.ts";
import { asBuffer, ECHO, PATH } from "./echo.ts";

const delayMs = Number(argv[2] ?? 0);
const server = new Server({ "grpc.enable_channelz": 0 });
const wire = {
  path: PATH,
  requestStream: false,
  responseStream: false,
  requestSerialize: asBuffer,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: asBuffer,
  responseDeserialize: (bytes: Buffer) => bytes,
};
const say = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
  if (delayMs === 0) reply(null, call.request);
  else setTimeout(() => reply(null, call.request), delayMs);
};
server.addService({ [ECHO.methods.say.name]: wire }, { [ECHO.methods.say.name]: say });
const files = readCertificates(env, "echo");
const credentials =
  files === undefined
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(files.ca, [{ private_key: files.key, cert_chain: files.cert }], true);
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`127.0.0.1:${port}\n`);
});
