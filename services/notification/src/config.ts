/** The settings of the notification service. */
import { EVENT_SETTINGS } from "@ordermesh/events/settings";
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "@ordermesh/runtime/base-settings";
import { text, url } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  ...POSTGRES_SETTINGS,
  ...EVENT_SETTINGS,
  smtpUrl: url("MESH_SMTP_URL", "mail server to send through; empty records only", ["smtp:", "smtps:"], {
    fallback: "",
    secret: true,
  }),
  mailFrom: text("MESH_MAIL_FROM", "sender of mails", { fallback: "Ordermesh Supply <shop@ordermesh.example>" }),
};
