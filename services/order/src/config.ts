/** The settings of the order service. */
import { EVENT_SETTINGS } from "@ordermesh/events/settings";
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "@ordermesh/runtime/base-settings";
import { integer } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  ...POSTGRES_SETTINGS,
  ...EVENT_SETTINGS,
  sagaTimeoutMs: integer("MESH_SAGA_TIMEOUT_MS", "milliseconds after which an order that is not charged is cancelled", {
    min: 1_000,
    max: 3_600_000,
    fallback: "60000",
  }),
  sagaLeaseMs: integer("MESH_SAGA_LEASE_MS", "milliseconds that an order belongs to the process that drives it", {
    min: 4_000, // The longest step is shorter: below, processes would take orders from each other for ever.
    max: 60_000,
    fallback: "5000",
  }),
  sagaConcurrency: integer(
    "MESH_SAGA_CONCURRENCY",
    "orders that a process drives at the same time, at most; more wait",
    {
      min: 1,
      max: 500,
      fallback: "32",
    },
  ),
};
