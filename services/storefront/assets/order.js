/** Follows an order by server-sent events and moves its page along. Without it the page reloads itself. */
const page = document.querySelector("[data-order]");
const texts = JSON.parse(page.dataset.texts);
const MAX_WAIT_MS = 30_000;

follow(1_000);

function follow(waitMs) {
  const source = new EventSource(page.dataset.events);
  source.addEventListener("order", ({ data }) => {
    const order = JSON.parse(data);
    show(order);
    if (order.status === "SHIPPED" || order.status === "CANCELLED") source.close();
  });
  // A browser comes back to a stream that broke, but gives up on an answer that is no stream, such as 503.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, waitMs, Math.min(2 * waitMs, MAX_WAIT_MS));
  });
}

function show({ status, cancelReason, trackingCode }) {
  page.dataset.status = status;
  const steps = [...page.querySelectorAll("[data-step]")];
  const at = steps.findIndex((step) => step.dataset.step === status);
  steps.forEach((step, index) => {
    step.classList.toggle("done", index <= at && status !== "CANCELLED");
    if (index === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
  const { headline, lead } = texts[cancelReason ?? status];
  page.querySelector("[data-headline]").textContent = headline;
  page.querySelector("[data-lead]").textContent = lead;
  if (status !== "PENDING") page.querySelector("[data-cancel]")?.remove();
  const tracking = page.querySelector("[data-tracking]");
  tracking.hidden = trackingCode === undefined;
  tracking.querySelector("code").textContent = trackingCode ?? "";
}
