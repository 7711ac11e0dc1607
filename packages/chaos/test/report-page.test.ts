/** The page of a report in a browser: it fits a telephone, its policy lets it be, and what the plot shows can be heard. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { type Browser, chromium } from "playwright-core";
import { reportFiles } from "../src/report-files.ts";
import { FakeWorld, specOf } from "./fake-world.ts";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = PATHS.find((path) => existsSync(path));
const options = {
  skip: executablePath === undefined ? `no browser at ${PATHS.join(" or ")}` : false,
  timeout: 60_000,
};

let browser: Browser;
before(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
  if (executablePath !== undefined) browser = await chromium.launch({ executablePath, args });
});
after(() => browser?.close());

async function pageOfReport(): Promise<string> {
  const success = { name: "success", workload: "SuccessMilli", thresholdMilli: 990 };
  const world = new FakeWorld({ spec: specOf({ steadyState: [success] }), violated: ["NoDoubleCharge"] });
  await world.run();
  assert.ok(world.report);
  return reportFiles(world.report)["report.html"];
}

for (const width of [360, 1_280])
  for (const colorScheme of ["light", "dark"] as const)
    test(`the page fits ${width} px and is ${colorScheme}`, options, async () => {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("request", (request) => complaints.push(request.url()));
      await page.setContent(await pageOfReport());
      const seen = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        plotHeight: document.querySelector("svg.plot")?.getBoundingClientRect().height ?? 0,
        background: getComputedStyle(document.body).backgroundColor,
      }));
      const plot = page.getByRole("img", { name: "The run over time" });
      assert.match((await plot.locator("desc").textContent()) ?? "", /orders a second accepted/);
      assert.ok(
        await page.getByRole("table", { name: "The steady state before, during and after the fault" }).isVisible(),
      );
      await page.close();
      assert.deepEqual(complaints, []);
      assert.equal(seen.width, width);
      assert.ok(seen.plotHeight > 300, `${seen.plotHeight}`);
      assert.equal(seen.background, colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(13, 17, 23)");
    });
