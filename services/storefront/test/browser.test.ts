import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { MeshError } from "@ordermesh/mesh/errors";
import { OrderStatus } from "@ordermesh/proto/ordermesh/order/v1/order";
import { type Browser, chromium, type Page } from "playwright-core";
import { newApp } from "./app-under-test.ts";
import { ORDER } from "./visitor.ts";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = PATHS.find((path) => existsSync(path));
const options = {
  skip: executablePath === undefined ? `no browser at ${PATHS.join(" or ")}` : false,
  timeout: 120_000,
};
const MAX_TABS = 60;

let browser: Browser;
before(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
  if (executablePath !== undefined) browser = await chromium.launch({ executablePath, args });
});
after(() => browser?.close());

/** A shop whose orders the test moves, and a page on its front. */
async function openShop() {
  const { app, orders } = await newApp();
  orders.firstStatus = OrderStatus.ORDER_STATUS_PENDING;
  const address = await app.listen({ port: 0 });
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(address);
  const close = async () => {
    await page.close();
    await app.close();
  };
  return { page, orders, errors, close };
}

/** Goes to the control of that name by keyboard, as those do who have no mouse. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let tabs = 0; tabs < MAX_TABS; tabs += 1) {
    await page.keyboard.press("Tab");
    const reached = await page.evaluate(() => {
      const control = document.activeElement;
      const labels =
        control instanceof HTMLInputElement || control instanceof HTMLSelectElement ? control.labels : null;
      return [...(labels ?? [control])].map((element) => element?.textContent?.trim() ?? "").join(" ");
    });
    if (name.test(reached)) return;
  }
  assert.fail(`${name} is out of reach of the keyboard`);
}

async function placeByKeyboard(page: Page): Promise<string> {
  await tabTo(page, /^Add Enamel mug/);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/cart");
  const typed: [RegExp, string][] = [
    [/^E-mail/, "ada@example.com"],
    [/^Name/, "Ada Lovelace"],
    [/^Street/, "12 St James Square"],
    [/^Postal code/, "SW1Y 4JH"],
    [/^City/, "London"],
    [/^Country/, "United K"],
  ];
  for (const [label, text] of typed) {
    await tabTo(page, label);
    await page.keyboard.type(text);
  }
  await tabTo(page, /^A card that pays/);
  await page.keyboard.press("ArrowDown");
  await tabTo(page, /^Place the order/);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/orders/*");
  return page.url().split("/").at(-1) ?? "";
}

/** Opens the page of a new order. */
async function placeAndOpen(page: Page): Promise<string> {
  const { origin } = new URL(page.url());
  const headers = { "idempotency-key": "k" };
  const placed = await page.request.post(`${origin}/api/orders`, { data: ORDER, headers });
  const { orderId, links } = await placed.json();
  await page.goto(origin + links.page);
  return orderId;
}

test("a visitor without a mouse buys something and sees it shipped without reloading", options, async (t) => {
  const { page, orders, errors, close } = await openShop();
  t.after(close);
  const orderId = await placeByKeyboard(page);
  const { request } = orders.placed[0] ?? assert.fail("nothing was placed");
  assert.deepEqual([request.shipTo?.country, request.paymentToken], ["GB", "tok_slow"]);
  const steps: [OrderStatus, string][] = [
    [OrderStatus.ORDER_STATUS_PENDING, "Placed"],
    [OrderStatus.ORDER_STATUS_CONFIRMED, "Confirmed"],
    [OrderStatus.ORDER_STATUS_PREPARING, "Preparing"],
    [OrderStatus.ORDER_STATUS_SHIPPED, "Shipped"],
  ];
  await page.evaluate(() => {
    document.body.dataset.loaded = "once";
  });
  await orders.untilWatching(1);
  for (const [status, headline] of steps) {
    const trackingCode = status === OrderStatus.ORDER_STATUS_SHIPPED ? "OM-42" : "";
    orders.change(orderId, { status, trackingCode });
    await page.getByRole("heading", { name: headline, level: 1 }).waitFor();
    assert.equal(await page.locator("[aria-current=step]").textContent(), headline);
  }
  assert.ok(await page.getByText("OM-42").isVisible());
  assert.equal(await page.locator("body").getAttribute("data-loaded"), "once");
  assert.equal(await page.getByRole("button", { name: "Cancel this order" }).count(), 0);
  await orders.untilWatching(0);
  assert.deepEqual(errors, []);
});

test("an order page finds its order again when the order service was away", options, async (t) => {
  const { page, orders, close } = await openShop();
  t.after(close);
  const orderId = await placeAndOpen(page);
  await orders.untilWatching(1);
  const refused = page.waitForResponse((response) => response.status() === 503);
  orders.fail(new MeshError("unavailable", "NO_ENDPOINTS", "no endpoint of order is registered"));
  await refused; // The browser came back by itself, and was refused.
  orders.failure = undefined;
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_SHIPPED, trackingCode: "OM-42" });
  await page.getByRole("heading", { name: "Shipped" }).waitFor();
});

test("a visitor without scripts sees the order move too", options, async (t) => {
  const { page, orders, close } = await openShop();
  t.after(close);
  const context = await browser.newContext({ javaScriptEnabled: false });
  t.after(() => context.close());
  const orderId = await placeAndOpen(page);
  await context.addCookies(await page.context().cookies());
  const plain = await context.newPage();
  await plain.goto(page.url());
  orders.change(orderId, { status: OrderStatus.ORDER_STATUS_SHIPPED });
  await plain.getByRole("heading", { name: "Shipped" }).waitFor();
});
