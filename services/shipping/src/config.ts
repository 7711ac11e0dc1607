/** The settings of the shipping service. */
import { EVENT_SETTINGS } from "@ordermesh/events/settings";
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "@ordermesh/runtime/base-settings";
import { integer } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  ...POSTGRES_SETTINGS,
  ...EVENT_SETTINGS,
  carrierDelayMs: integer(
    "MESH_CARRIER_DELAY_MS",
    "milliseconds from a shipment's creation until the carrier takes it",
    {
      min: 0,
      max: 86_400_000,
      fallback: "1000",
    },
  ),
};
