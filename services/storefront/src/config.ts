/** The settings of the storefront. */
import { BASE_SETTINGS } from "@ordermesh/runtime/base-settings";
import { integer, text } from "@ordermesh/runtime/config";

export const SETTINGS = {
  ...BASE_SETTINGS,
  httpPort: integer("MESH_HTTP_PORT", "port of the shop and its API; 0 takes a free one", {
    min: 0,
    max: 65_535,
    fallback: "8080",
  }),
  httpHost: text("MESH_HTTP_HOST", "address that the shop listens on", { fallback: "0.0.0.0" }),
  cookieSecret: text(
    "MESH_COOKIE_SECRET",
    "key that signs sessions and carts, the same for all replicas; empty takes a random one",
    {
      fallback: "",
      secret: true,
    },
  ),
};
