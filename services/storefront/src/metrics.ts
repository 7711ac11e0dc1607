/** The storefront's own metrics, declared once. */
import { Gauge, Histogram, type Registry } from "prom-client";

export type StorefrontMetrics = {
  readonly requests: Histogram<"http_request_method" | "http_route" | "http_response_status_code">;
  readonly streams: Gauge;
};

export function createStorefrontMetrics(registry: Registry): StorefrontMetrics {
  const registers = [registry];
  return {
    requests: new Histogram({
      name: "http_server_request_duration_seconds",
      help: "HTTP requests served",
      labelNames: ["http_request_method", "http_route", "http_response_status_code"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
      registers,
    }),
    streams: new Gauge({ name: "storefront_open_streams", help: "Order pages that are being followed", registers }),
  };
}
