/** Mails to a real socket: a small mail server that takes, refuses, defers, or goes away. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { createLogger } from "@ordermesh/runtime/log";
import type { Message } from "../src/messages.ts";
import { smtpDelivery } from "../src/smtp.ts";

/** Replies by what a recipient's address begins with. */
const RCPT_REPLIES: Readonly<Record<string, string>> = {
  never: "550 no such user",
  later: "451 try again later",
};

async function startServer(t: TestContext) {
  const mails: string[] = [];
  const server = createServer((socket) => void converse(socket, mails).catch(() => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: "test", instance: "test", version: "", level: "debug", destination });
  const url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { mails, server, logged: () => lines.join(""), deliver: smtpDelivery({ url, from: "shop@example.com", log }) };
}

/** One SMTP session, as far as a client needs it that sends plain mails. */
async function converse(socket: Socket, mails: string[]): Promise<void> {
  const say = (reply: string) => socket.write(`${reply}\r\n`);
  let mail: string[] | undefined;
  say("220 test");
  for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (mail !== undefined) {
      if (line !== ".") mail.push(line);
      else {
        mails.push(mail.join("\n"));
        mail = undefined;
        say("250 taken");
      }
    } else if (line === "DATA") {
      mail = [];
      say("354 go on");
    } else {
      const recipient = /^RCPT TO:<([a-z]+)/.exec(line)?.[1] ?? "";
      say(line === "QUIT" ? "221 bye" : (RCPT_REPLIES[recipient] ?? "250 ok"));
    }
  }
}

function aMessage(email: string, fields: Partial<Message> = {}): Message {
  return {
    notification_id: randomUUID(),
    order_id: randomUUID(),
    kind: "ORDER_CONFIRMED",
    email,
    detail: "",
    ...fields,
  };
}

test("a mail has the notification's id, the order and what there is to say", async (t) => {
  const { deliver, mails } = await startServer(t);
  const message = aMessage("ada@example.com", { kind: "ORDER_SHIPPED", detail: "OM-1234" });
  assert.deepEqual(await deliver([message]), [message]);
  const [mail = assert.fail()] = mails;
  assert.match(mail, new RegExp(`^Message-ID: <${message.notification_id}@ordermesh.example>$`, "m"));
  assert.match(mail, /^To: ada@example.com$/m);
  assert.match(mail, /^Subject: Your order is on its way$/m);
  assert.match(mail, new RegExp(`^Order ${message.order_id}$`, "m"));
  assert.match(mail, /^OM-1234$/m);
});

test("a refused mail is done, a deferred one is not, and the others go", async (t) => {
  const { deliver, mails, logged } = await startServer(t);
  const [one, never, later, wrong, two] = [
    aMessage("ada@example.com"),
    aMessage("never@example.com"),
    aMessage("later@example.com"),
    aMessage("not an address"),
    aMessage("bob@example.com"),
  ];
  assert.deepEqual(await deliver([one, never, later, wrong, two]), [one, never, wrong, two]);
  assert.equal(mails.length, 2);
  assert.match(logged(), new RegExp(never.notification_id));
  assert.doesNotMatch(logged(), /example\.com/);
});

test("a line break in an address adds no header and no recipient", async (t) => {
  const { deliver, mails } = await startServer(t);
  await deliver([aMessage("ada@example.com\r\nBcc: eve@example.com")]);
  assert.doesNotMatch(mails.join("\n"), /^Bcc:/m);
});

test("without a mail server nothing is done", async (t) => {
  const { deliver, server } = await startServer(t);
  server.close();
  await once(server, "close");
  assert.deepEqual(await deliver([aMessage("ada@example.com"), aMessage("bob@example.com")]), []);
});
