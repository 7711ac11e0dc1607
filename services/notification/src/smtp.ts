/** Mails by SMTP: the only file that imports nodemailer. The notification id is the Message-ID. */
import type { Logger } from "@ordermesh/runtime/log";
import { createTransport } from "nodemailer";
import type { Deliver, Kind, Message } from "./messages.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const ANSWER_TIMEOUT_MS = 5_000;

const SUBJECTS: Readonly<Record<Kind, string>> = {
  ORDER_CONFIRMED: "Your order is confirmed",
  ORDER_SHIPPED: "Your order is on its way",
  ORDER_CANCELLED: "Your order was cancelled",
};

type Options = { readonly url: string; readonly from: string; readonly log: Logger };

/** What became of a mail: refused is for ever, deferred is this mail later, unreachable is all mails later. */
type Outcome = "sent" | "refused" | "deferred" | "unreachable";

/** Gives those mails that are sent, and those that the server will never take. */
export function smtpDelivery({ url, from, log }: Options): Deliver {
  const timeouts = { connectionTimeout: CONNECT_TIMEOUT_MS, greetingTimeout: ANSWER_TIMEOUT_MS };
  const transport = createTransport({ url, ...timeouts, socketTimeout: ANSWER_TIMEOUT_MS }, { from });
  const send = async (message: Message): Promise<Outcome> => {
    try {
      await transport.sendMail(toMail(message));
      return "sent";
    } catch (error) {
      const outcome = judge(error);
      // The server's words may repeat the address.
      log.warn({ "mesh.notification_id": message.notification_id, outcome }, "mail not sent");
      return outcome;
    }
  };
  return async (messages) => {
    const done: Message[] = [];
    for (const message of messages) {
      const outcome = await send(message);
      if (outcome === "unreachable") break;
      if (outcome !== "deferred") done.push(message);
    }
    return done;
  };
}

/** Replies of 5xx to a mail are permanent, those of 4xx are not (RFC 5321, 4.2.1); without a reply the mail itself is wrong. */
function judge(error: unknown): Outcome {
  const { code = "", responseCode = 0 } = error as { code?: string; responseCode?: number };
  if (code !== "EENVELOPE" && code !== "EMESSAGE") return "unreachable";
  return responseCode >= 400 && responseCode < 500 ? "deferred" : "refused";
}

function toMail({ notification_id, order_id, kind, email, detail }: Message) {
  const lines = [`${SUBJECTS[kind]}.`, "", `Order ${order_id}`, ...(detail === "" ? [] : [detail])];
  return {
    to: email,
    subject: SUBJECTS[kind],
    text: lines.join("\n"),
    messageId: `<${notification_id}@ordermesh.example>`,
  };
}
