/** grpc-js stubs as others have generated them, over a channel of the mesh: all four kinds of calls. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import {
  type Client,
  credentials,
  type Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { systemClock } from "../src/clock.ts";
import { runInContext } from "../src/context.ts";
import { newMesh } from "./echo-mesh.ts";

const wire = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
};
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/old.v1.Stub/${name}`,
  requestStream,
  responseStream,
  ...wire,
});
const SERVICE = {
  ask: method("Ask", false, false),
  collect: method("Collect", true, false),
  list: method("List", false, true),
  chat: method("Chat", true, true),
};

async function serveStub(t: TestContext, name: string) {
  const server = new Server();
  const seen: Metadata[] = [];
  const chats: ServerDuplexStream<string, string>[] = [];
  server.addService(SERVICE, {
    ask: (call: ServerUnaryCall<string, string>, reply: sendUnaryData<string>) => {
      seen.push(call.metadata);
      if (call.request === "never") return;
      if (call.request === "missing") reply({ code: status.NOT_FOUND, details: "nothing there" });
      else reply(null, `${name} ${call.request}`);
    },
    collect: (call: ServerReadableStream<string, string>, reply: sendUnaryData<string>) => {
      const got: string[] = [];
      call.on("data", (text: string) => got.push(text));
      call.on("end", () => reply(null, got.join()));
    },
    list: (call: ServerWritableStream<string, string>) => {
      for (const part of call.request.split(",")) call.write(part);
      call.end();
    },
    chat: (call: ServerDuplexStream<string, string>) => {
      chats.push(call);
      call.on("data", (text: string) => call.write(`${name} ${text}`));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  return { server, seen, chats, address: `127.0.0.1:${port}` };
}

type Chat = NodeJS.ReadWriteStream & AsyncIterable<string> & { cancel(): void };
type Stub = Client & {
  ask(text: string, options: object, callback: (error: ServiceError | null, text?: string) => void): { cancel(): void };
  collect(callback: (error: ServiceError | null, text?: string) => void): NodeJS.WritableStream;
  list(text: string): AsyncIterable<string>;
  chat(options?: object): Chat;
};

async function newStub(t: TestContext) {
  const { mesh, add, remove } = newMesh(t);
  const Constructor = makeGenericClientConstructor(SERVICE, "Stub");
  const channelOverride = mesh.channel("echo");
  const stub = new Constructor("mesh", credentials.createInsecure(), { channelOverride }) as unknown as Stub;
  const ask = (text: string, options = {}) =>
    new Promise<string>((resolve, reject) =>
      stub.ask(text, options, (error, answer = "") => (error === null ? resolve(answer) : reject(error))),
    );
  return { stub, ask, add, remove };
}

test("all four kinds of calls pass, and the load is shared", async (t) => {
  const { stub, ask, add } = await newStub(t);
  for (const name of ["one", "two"]) add(name, (await serveStub(t, name)).address);
  await ask("hi"); // Both are known after it.
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask("hi")));
  assert.deepEqual(new Set(answers), new Set(["one hi", "two hi"]));
  const collected = Promise.withResolvers<string>();
  const writing = stub.collect((error, text = "") =>
    error === null ? collected.resolve(text) : collected.reject(error),
  );
  for (const text of ["a", "b", "c"]) writing.write(text as never);
  writing.end();
  assert.equal(await collected.promise, "a,b,c");
  const listed: string[] = [];
  for await (const part of stub.list("x,y,z")) listed.push(part);
  assert.deepEqual(listed, ["x", "y", "z"]);
  const chat = stub.chat();
  const said: string[] = [];
  chat.write("hello" as never);
  for await (const text of chat) {
    said.push(text);
    if (said.length === 1) chat.write("bye" as never);
    else chat.end();
  }
  assert.deepEqual(said, ["one hello", "one bye"]);
});

test("a call before there is an endpoint waits, and carries its caller and the trace of the call being served", async (t) => {
  const { ask, add } = await newStub(t);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const context = {
    deadlineMs: systemClock.nowMs() + 5_000,
    traceparent,
    signal: new AbortController().signal,
    caller: "",
  };
  const answer = runInContext(context, () => ask("hi"));
  const { address, seen } = await serveStub(t, "one");
  add("one", address);
  assert.equal(await answer, "one hi");
  assert.equal(seen[0]?.get("x-mesh-caller")[0], "shop");
  assert.match(String(seen[0]?.get("traceparent")[0]), /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)/);
});

test("deadlines, the caller's too, cancellation and a server's errors end calls as they should", async (t) => {
  const { stub, ask, add } = await newStub(t);
  add("one", (await serveStub(t, "one")).address);
  await assert.rejects(ask("missing"), { code: status.NOT_FOUND, details: "nothing there" });
  await assert.rejects(ask("never", { deadline: Date.now() + 100 }), { code: status.DEADLINE_EXCEEDED });
  const context = {
    deadlineMs: systemClock.nowMs() + 200,
    traceparent: "",
    signal: new AbortController().signal,
    caller: "",
  };
  await assert.rejects(
    runInContext(context, () => ask("never")),
    { code: status.DEADLINE_EXCEEDED },
  );
  const ended = Promise.withResolvers<ServiceError | null>();
  const call = stub.ask("never", {}, (error) => ended.resolve(error));
  setTimeout(() => call.cancel(), 50);
  assert.equal((await ended.promise)?.code, status.CANCELLED);
});

test("without any endpoint a call is unavailable after its wait, and one cancelled meanwhile ends at once", async (t) => {
  const { stub, ask } = await newStub(t);
  await assert.rejects(ask("hi", { deadline: Date.now() + 150 }), { code: status.UNAVAILABLE });
  const ended = Promise.withResolvers<ServiceError | null>();
  stub.ask("hi", {}, (error) => ended.resolve(error)).cancel();
  assert.equal((await ended.promise)?.code, status.CANCELLED);
});

test("a server that dies is left out after a few calls", async (t) => {
  const { ask, add } = await newStub(t);
  const [one, two] = [await serveStub(t, "one"), await serveStub(t, "two")];
  add("one", one.address);
  add("two", two.address);
  await Promise.all(Array.from({ length: 20 }, () => ask("hi")));
  one.server.forceShutdown();
  await systemClock.sleep(200); // Until the channel has seen the end of its connection.
  const answers: string[] = [];
  for (let call = 0; call < 50; call += 1) answers.push(await ask("hi").catch(() => "failed"));
  const failed = answers.filter((answer) => answer === "failed").length;
  assert.ok(failed <= 5, `${failed} failed`); // Five failures in a row take it out.
  assert.equal(answers.at(-1), "two hi");
});

/** What has been heard of a chat so far, and the status that ended it. */
function listen(chat: Chat) {
  const heard: string[] = [];
  const ended = Promise.withResolvers<status>();
  chat.on("data", (text: string) => heard.push(text));
  chat.on("error", ({ code }: ServiceError) => ended.resolve(code));
  chat.on("end", () => ended.resolve(status.OK));
  const say = async (text: string) => {
    const before = heard.length;
    chat.write(text as never);
    while (heard.length === before) await Promise.race([once(chat, "data"), ended.promise]);
    return heard.at(-1);
  };
  return { say, ended: ended.promise };
}

test("a chat ends at its deadline and when it is cancelled, at the server too", async (t) => {
  const { stub, add } = await newStub(t);
  const { address, chats } = await serveStub(t, "one");
  add("one", address);
  for (const [expected, options, act] of [
    [status.DEADLINE_EXCEEDED, { deadline: Date.now() + 300 }, () => undefined],
    [status.CANCELLED, {}, (chat: Chat) => chat.cancel()],
  ] as const) {
    const chat = stub.chat(options);
    const { say, ended } = listen(chat);
    assert.equal(await say("hello"), "one hello");
    const serving = chats.at(-1);
    const gone = serving?.cancelled === true ? undefined : once(serving as never, "cancelled");
    act(chat);
    assert.equal(await ended, expected);
    await gone;
  }
});

test("a chat outlives its server's leaving, new ones begin elsewhere, and the server's drain waits for its end alone", async (t) => {
  const { stub, ask, add, remove } = await newStub(t);
  const [one, two] = [await serveStub(t, "one"), await serveStub(t, "two")];
  add("one", one.address);
  await ask("hi");
  const chat = stub.chat();
  const open = listen(chat);
  assert.equal(await open.say("hello"), "one hello");
  add("two", two.address);
  remove("one");
  const drained = promisify(one.server.tryShutdown.bind(one.server))();
  for (let later = 0; later < 5; later += 1) {
    const next = stub.chat();
    assert.equal(await listen(next).say("hello"), "two hello");
    next.cancel();
  }
  assert.equal(await open.say("still there?"), "one still there?");
  chat.end();
  assert.equal(await open.ended, status.OK);
  await drained;
});

test("a server that ends its chats by force does so for them alone", async (t) => {
  const { stub, ask, add } = await newStub(t);
  const one = await serveStub(t, "one");
  add("one", one.address);
  await ask("hi");
  const open = listen(stub.chat());
  await open.say("hello");
  add("two", (await serveStub(t, "two")).address);
  one.server.forceShutdown();
  assert.equal(await open.ended, status.CANCELLED); // As grpc-js resets them, and not as a peer that is lost.
  await systemClock.sleep(200); // Until the channel has seen the end of its connection.
  const answers = await Promise.allSettled(Array.from({ length: 40 }, () => ask("hi")));
  assert.ok(answers.some(({ status: outcome }) => outcome === "fulfilled"));
});
