/** A broker that is away: what is counted tells of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testLog } from "@ordermesh/local/under-test";
import { systemClock } from "@ordermesh/mesh/clock";
import { Counter, Registry } from "prom-client";
import { newKafka } from "../src/kafka.ts";

test("each connection that cannot be made is counted", async () => {
  const connectionErrors = new Counter({ name: "errors_total", help: "Errors", registers: [new Registry()] });
  const options = {
    brokers: ["127.0.0.1:1"],
    clientId: "away",
    log: testLog,
    clock: systemClock,
    metrics: { connectionErrors },
  };
  await assert.rejects(newKafka(options, { retries: 0 }).admin().connect());
  assert.equal((await connectionErrors.get()).values[0]?.value, 1);
});
