/** How an order's progress reads on its page, the same for the server and for the script that follows it. Pure. */
import type { OrderJson } from "./orders.ts";

/** The steps on the way, in order; a cancelled order has left it. */
export const STEPS = ["PENDING", "CONFIRMED", "PREPARING", "SHIPPED"] as const;

/** By cancel reason, else by status. */
export const TEXTS: Readonly<Record<string, { readonly headline: string; readonly lead: string }>> = {
  PENDING: { headline: "Placed", lead: "We have your order and are checking stock and card." },
  CONFIRMED: { headline: "Confirmed", lead: "Paid once, and set aside for you." },
  PREPARING: { headline: "Preparing", lead: "Packed and waiting for the carrier." },
  SHIPPED: { headline: "Shipped", lead: "It is on its way to you." },
  CANCELLED: { headline: "Cancelled", lead: "You pay nothing." },
  PAYMENT_DECLINED: { headline: "Cancelled", lead: "The card was declined. You pay nothing; try another card." },
  OUT_OF_STOCK: { headline: "Cancelled", lead: "Somebody took the last piece. You pay nothing." },
  CUSTOMER: { headline: "Cancelled", lead: "You asked for it. You pay nothing." },
  TIMED_OUT: { headline: "Cancelled", lead: "We could not decide it in time. You pay nothing." },
};

export function textOf({ status, cancelReason }: Pick<OrderJson, "status" | "cancelReason">) {
  return TEXTS[cancelReason ?? status] ?? TEXTS.CANCELLED;
}
