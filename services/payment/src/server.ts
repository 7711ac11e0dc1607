/** PaymentService: checks what comes in and hands it to the charges. */
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";
import type { Charges } from "./charges.ts";
import { checkCharge, checkOrderId } from "./rules.ts";

const CALLERS = { charge: ["order"], refund: ["order"], getPayment: ["order"] };

export function paymentService(charges: Charges): GrpcService {
  return implement(
    PaymentServiceDefinition,
    {
      async charge(request) {
        checkOrderId(request.orderId);
        checkCharge(request);
        const { orderId, amount, paymentToken: token } = request;
        const payment = await charges.charge({
          orderId,
          amountMinor: amount?.minorUnits ?? 0n,
          currency: amount?.currency ?? "",
          token,
        });
        return { payment };
      },
      async refund({ orderId }) {
        checkOrderId(orderId);
        return { payment: await charges.refund(orderId) };
      },
      async getPayment({ orderId }) {
        checkOrderId(orderId);
        return { payment: await charges.find(orderId) };
      },
    },
    CALLERS,
  );
}
