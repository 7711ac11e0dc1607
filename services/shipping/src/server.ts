/** ShippingService over the shipments. */
import { ShippingServiceDefinition } from "@ordermesh/proto/ordermesh/shipping/v1/shipping";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";
import type { Shipments } from "./shipments.ts";

export function shippingService(shipments: Shipments): GrpcService {
  return implement(ShippingServiceDefinition, {
    getShipment: async ({ orderId }) => ({ shipment: await shipments.find(orderId) }),
  });
}
