/** The settings of the payment service. */
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "@ordermesh/runtime/base-settings";
import { integer } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  ...POSTGRES_SETTINGS,
  providerTimeoutMs: integer("MESH_PROVIDER_TIMEOUT_MS", "milliseconds to wait for the card provider", {
    min: 10,
    max: 20_000,
    fallback: "1500",
  }),
};
