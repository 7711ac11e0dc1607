/** Mails by SMTP: the only file that imports nodemailer. The notification id is the Message-ID. */
import { createTransport } from "nodemailer";
import type { Deliver, Kind, Message } from "./messages.ts";

const SUBJECTS: Readonly<Record<Kind, string>> = {
  ORDER_CONFIRMED: "Your order is confirmed",
  ORDER_SHIPPED: "Your order is on its way",
  ORDER_CANCELLED: "Your order was cancelled",
};

export function smtpDelivery(url: string, from: string): Deliver {
  const transport = createTransport(url, { from });
  return async (messages) => {
    for (const message of messages) await transport.sendMail(toMail(message));
  };
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
