/**
 * gRPC's list of interoperability tests through the mesh: unary calls and server streams with its client on both connections,
 * the other streams with a stub over its channel. Compression is not on offer: the contract test shows that it is refused.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Client, credentials, Metadata, makeGenericClientConstructor, status } from "@grpc/grpc-js";
import type { Connect } from "../src/connection.ts";
import { connectGrpc } from "../src/grpc-connection.ts";
import { connectHttp2 } from "../src/http2-connection.ts";
import { newMesh } from "./echo-mesh.ts";
import { INITIAL, INTEROP, type Message, serveInterop, TRAILING, WIRE } from "./interop-service.ts";

const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
const SOAK_CALLS = 1_000;

async function newClient(t: TestContext, connect: Connect) {
  const { mesh, add } = newMesh(t, connect);
  const { server, address } = await serveInterop();
  t.after(() => server.forceShutdown());
  add("one", address);
  return mesh.client(INTEROP, "echo", 5_000);
}

for (const [name, connect] of [
  ["http2", connectHttp2],
  ["grpc-js", connectGrpc],
] as const) {
  test(`${name}: empty_unary`, async (t) => {
    assert.deepEqual(await (await newClient(t, connect)).unaryCall({ size: 0 }), { size: 0 });
  });

  test(`${name}: large_unary`, async (t) => {
    const answer = await (await newClient(t, connect)).unaryCall({ size: 271_828, wanted: [314_159] });
    assert.equal(answer.size, 314_159);
  });

  test(`${name}: server_streaming`, async (t) => {
    const wanted = [31_415, 9, 2_653, 58_979];
    const sizes: number[] = [];
    for await (const { size } of (await newClient(t, connect)).streamingOutputCall({ size: 0, wanted }))
      sizes.push(size);
    assert.deepEqual(sizes, wanted);
  });

  test(`${name}: empty_stream`, async (t) => {
    for await (const _ of (await newClient(t, connect)).streamingOutputCall({ size: 0 })) assert.fail("a message");
  });

  test(`${name}: status_code_and_message, special_status_message`, async (t) => {
    const client = await newClient(t, connect);
    for (const details of ["test status message", SPECIAL]) {
      const asked = { size: 0, status: { code: status.UNKNOWN, details } };
      await assert.rejects(client.unaryCall(asked), { kind: "internal", message: details });
      const stream = client.streamingOutputCall(asked)[Symbol.asyncIterator]();
      await assert.rejects(stream.next(), { kind: "internal", message: details });
    }
  });

  test(`${name}: unimplemented_method, unimplemented_service`, async (t) => {
    const { mesh, add } = newMesh(t, connect);
    const { server, address } = await serveInterop();
    t.after(() => server.forceShutdown());
    add("one", address);
    await assert.rejects(mesh.client(INTEROP, "echo").unimplementedCall({ size: 0 }), { kind: "unimplemented" });
    const nobody = { ...INTEROP, fullName: "grpc.testing.UnimplementedService" };
    await assert.rejects(mesh.client(nobody, "echo").unaryCall({ size: 0 }), { kind: "unimplemented" });
  });

  test(`${name}: cancel_after_begin`, async (t) => {
    const stop = new AbortController();
    const call = (await newClient(t, connect)).unaryCall({ size: 0, sleepMs: 5_000 }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await assert.rejects(call, { kind: "cancelled" });
  });

  test(`${name}: cancel_after_first_response`, async (t) => {
    const stop = new AbortController();
    const client = await newClient(t, connect);
    const stream = client.streamingOutputCall({ size: 0, wanted: [31_415], sleepMs: 1 }, { signal: stop.signal });
    const messages = stream[Symbol.asyncIterator]();
    assert.equal((await messages.next()).value?.size, 31_415);
    stop.abort();
    await assert.rejects(messages.next(), { kind: "cancelled" });
  });

  test(`${name}: timeout_on_sleeping_server`, async (t) => {
    const client = await newClient(t, connect);
    await assert.rejects(client.unaryCall({ size: 0, sleepMs: 5_000 }, { timeoutMs: 1 }), { kind: "deadline" });
  });

  test(`${name}: rpc_soak, channel_soak`, async (t) => {
    const client = await newClient(t, connect);
    for (let call = 0; call < SOAK_CALLS; call += 1) await client.unaryCall({ size: 271, wanted: [314] });
    for (let channel = 0; channel < 10; channel += 1) await (await newClient(t, connect)).unaryCall({ size: 0 });
  });
}

type Stub = Client & {
  unaryCall(message: Message, metadata: Metadata, callback: (error: unknown) => void): NodeJS.EventEmitter;
  streamingInputCall(callback: (error: unknown, answer?: Message) => void): NodeJS.WritableStream;
  fullDuplexCall(metadata?: Metadata): NodeJS.ReadWriteStream & AsyncIterable<Message>;
};

async function newStub(t: TestContext): Promise<Stub> {
  const { mesh, add } = newMesh(t);
  const { server, address } = await serveInterop();
  t.after(() => server.forceShutdown());
  add("one", address);
  const Constructor = makeGenericClientConstructor(WIRE, "TestService");
  const channelOverride = mesh.channel("echo");
  return new Constructor("mesh", credentials.createInsecure(), { channelOverride }) as unknown as Stub;
}

test("channel: client_streaming", async (t) => {
  const stub = await newStub(t);
  const total = await new Promise((resolve, reject) => {
    const call = stub.streamingInputCall((error, answer) => (error ? reject(error) : resolve(answer?.wanted?.[0])));
    for (const size of [27_182, 8, 1_828, 45_904]) call.write({ size } as never);
    call.end();
  });
  assert.equal(total, 74_922);
});

test("channel: ping_pong", async (t) => {
  const call = (await newStub(t)).fullDuplexCall();
  const pings = [
    [27_182, 31_415],
    [8, 9],
    [1_828, 2_653],
    [45_904, 58_979],
  ] as const;
  const pongs: number[] = [];
  const ping = () => {
    const [size, wanted] = pings[pongs.length] ?? [];
    if (size === undefined) call.end();
    else call.write({ size, wanted: [wanted] } as never);
  };
  ping();
  for await (const { size } of call) {
    pongs.push(size);
    ping();
  }
  assert.deepEqual(pongs, [31_415, 9, 2_653, 58_979]);
});

test("channel: empty_stream", async (t) => {
  const call = (await newStub(t)).fullDuplexCall();
  call.end();
  for await (const _ of call) assert.fail("a message");
});

test("channel: custom_metadata", async (t) => {
  const stub = await newStub(t);
  const metadata = new Metadata();
  metadata.set(INITIAL, "test_initial_metadata_value");
  metadata.set(TRAILING, Buffer.from([0xab, 0xab, 0xab]));
  const call = stub.unaryCall({ size: 271_828, wanted: [314_159] }, metadata, () => undefined);
  const initial = new Promise<Metadata>((resolve) => call.once("metadata", resolve));
  const trailing = new Promise<{ metadata: Metadata }>((resolve) => call.once("status", resolve));
  assert.deepEqual((await initial).get(INITIAL), ["test_initial_metadata_value"]);
  assert.deepEqual((await trailing).metadata.get(TRAILING), [Buffer.from([0xab, 0xab, 0xab])]);
});

test("channel: status_code_and_message of a bidirectional stream", async (t) => {
  const call = (await newStub(t)).fullDuplexCall();
  call.write({ size: 0, status: { code: status.UNKNOWN, details: SPECIAL } } as never);
  await assert.rejects(call[Symbol.asyncIterator]().next(), { code: status.UNKNOWN, details: SPECIAL });
});
