/** InventoryService: checks what comes in and hands it to the stock. */
import { InventoryServiceDefinition } from "@ordermesh/proto/ordermesh/inventory/v1/inventory";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";
import { checkLines, checkOrderId } from "./rules.ts";
import type { Stock } from "./stock.ts";

const CALLERS = { listProducts: ["storefront", "order"], reserve: ["order"], commit: ["order"], release: ["order"] };

export function inventoryService(stock: Stock): GrpcService {
  return implement(
    InventoryServiceDefinition,
    {
      listProducts: async () => ({ products: await stock.list() }),
      async reserve({ orderId, lines }) {
        checkOrderId(orderId);
        checkLines(lines);
        await stock.reserve(orderId, lines);
        return {};
      },
      async commit({ orderId }) {
        checkOrderId(orderId);
        await stock.commit(orderId);
        return {};
      },
      async release({ orderId }) {
        checkOrderId(orderId);
        await stock.release(orderId);
        return {};
      },
    },
    CALLERS,
  );
}
