/** Follows an order by server-sent events and moves the page along; the page works without it. */
const page = document.querySelector("[data-order]");
const find = (name) => page.querySelector(`[data-${name}]`);
const steps = [...page.querySelectorAll("[data-step]")];
const reasons = {
  PAYMENT_DECLINED: "The card was declined. Nothing was charged.",
  OUT_OF_STOCK: "A product ran out. Nothing was charged.",
  CUSTOMER: "You asked for it. Nothing is charged.",
  TIMED_OUT: "We could not decide it in time. Nothing is charged.",
};

const source = new EventSource(page.dataset.order);
source.addEventListener("order", ({ data }) => {
  const order = JSON.parse(data);
  show(order);
  if (order.status === "SHIPPED" || order.status === "CANCELLED") source.close();
});

function show({ status, cancelReason, trackingCode }) {
  page.dataset.status = status;
  const at = steps.findIndex((step) => step.dataset.step === status);
  steps.forEach((step, index) => {
    step.classList.toggle("done", index <= at);
    if (index === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
  const isCancelled = status === "CANCELLED";
  find("headline").textContent = isCancelled ? "Cancelled" : steps[at].dataset.label;
  find("lead").textContent = isCancelled ? (reasons[cancelReason] ?? "Nothing is charged.") : steps[at].dataset.lead;
  if (status !== "PENDING") find("cancel")?.remove();
  const tracking = page.querySelector("[data-tracking]");
  tracking.hidden = trackingCode === undefined;
  tracking.querySelector("code").textContent = trackingCode ?? "";
}
