import assert from "node:assert/strict";
import { test } from "node:test";
import { specOf } from "../test/fake-world.ts";
import { addSample, isDue, newCheck, type Probe, probesOf, stopProbesOf } from "./checks.ts";

const probe: Probe = {
  name: "edge",
  measure: { workload: "SuccessMilli", prometheus: undefined, op: "GreaterOrEqual", thresholdMilli: 990 },
  intervalSeconds: 5,
  tolerated: 0,
  isForbidden: false,
};
const sampledWith = (values: readonly (number | undefined)[], of = probe) =>
  values.reduce((check, value, index) => addSample(check, of, value, index * 1_000), newCheck("edge", "During"));

test("failures in a row are counted, and a good sample ends the row", () => {
  const check = sampledWith([980, 970, 991, 989]);
  const { samples, failures, consecutiveFailures, mostConsecutiveFailures, worstMilli, lastMilli } = check;
  assert.deepEqual([samples, failures, consecutiveFailures, mostConsecutiveFailures], [4, 3, 1, 2]);
  assert.deepEqual([worstMilli, lastMilli], [970, 989]);
});

test("no data is an error and neither a pass nor a failure", () => {
  const { errors, consecutiveErrors, failures, lastFailedAt } = sampledWith([undefined, Number.NaN]);
  assert.deepEqual([errors, consecutiveErrors, failures, lastFailedAt], [2, 2, 0, null]);
});

test("a stop condition fails where a check passes", () => {
  const [stop] = stopProbesOf(
    specOf({ stopConditions: [{ name: "edge", workload: "SuccessMilli", op: "Less", thresholdMilli: 500 }] }),
  );
  const { failures, worstMilli } = sampledWith([900, 400, 600], stop);
  assert.deepEqual([failures, worstMilli], [1, 400]);
});

test("less can be asked for during the fault", () => {
  const check = { name: "edge", workload: "SuccessMilli", thresholdMilli: 990 };
  const during = { thresholdMilli: 500, toleratedConsecutiveFailures: 2 };
  const spec = specOf({ steadyState: [{ ...check, during }] });
  assert.equal(probesOf(spec, "Before")[0]?.measure.thresholdMilli, 990);
  assert.equal(probesOf(spec, "During")[0]?.measure.thresholdMilli, 500);
  assert.equal(probesOf(spec, "During")[0]?.tolerated, 2);
});

test("a check is due an interval after the phase began, and after its last sample", () => {
  const check = newCheck("edge", "During");
  assert.ok(!isDue(check, probe, 0, 4_999));
  assert.ok(isDue(check, probe, 0, 5_000));
  assert.ok(!isDue({ ...check, lastAt: new Date(5_000).toISOString() }, probe, 0, 9_999));
});
