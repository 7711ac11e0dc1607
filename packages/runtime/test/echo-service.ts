/** A service without dependencies for the process tests; its version says how it should misbehave. */
import { env } from "node:process";
import { NotificationServiceDefinition } from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { BASE_SETTINGS } from "../src/base-settings.ts";
import { implement } from "../src/grpc-service.ts";
import { runService } from "../src/service.ts";

await runService(
  {
    name: "echo",
    settings: BASE_SETTINGS,
    async start({ config, lifecycle, clock }) {
      if (config.version === "waits") await clock.sleep(60_000, lifecycle.stopping);
      if (config.version === "hangs") lifecycle.onDrain("hangs", () => new Promise(() => undefined));
      if (config.version === "throws") setTimeout(() => Promise.reject(new Error("a bug")));
      return [implement(NotificationServiceDefinition, { listNotifications: async () => ({ notifications: [] }) })];
    },
  },
  env,
);
