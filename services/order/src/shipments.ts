/** What shipping tells of an order: applied to the orders, forward only. */
import { decodeData, type InboundEvent, PoisonEvent } from "@ordermesh/events/event";
import type { Handle } from "@ordermesh/events/inbox";
import { ShipmentCreated, ShipmentDispatched } from "@ordermesh/proto/ordermesh/event/v1/event";
import type { OrderStore, Shipment } from "./store.ts";

export function shipmentHandler(store: OrderStore): Handle {
  return (events, tx) => store.ship(events.map(toShipment), tx);
}

/** @throws PoisonEvent */
function toShipment(event: InboundEvent): Shipment {
  switch (event.type) {
    case "ordermesh.shipment.created.v1":
      return { orderId: decodeData(event, ShipmentCreated).orderId, shipment: "PREPARING", trackingCode: "" };
    case "ordermesh.shipment.dispatched.v1": {
      const { orderId, trackingCode } = decodeData(event, ShipmentDispatched);
      return { orderId, shipment: "SHIPPED", trackingCode };
    }
    default:
      throw new PoisonEvent("the event's type is unknown");
  }
}
