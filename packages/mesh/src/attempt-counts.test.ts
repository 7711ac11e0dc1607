import assert from "node:assert/strict";
import { test } from "node:test";
import { AttemptCounts } from "./attempt-counts.ts";

const LABELS = { server_address: "echo", server_version: "v1", rpc_method: "m", rpc_status_code: "OK", attempt: 1 };
const sum = (counts: AttemptCounts) => [...counts.all()].reduce((total, { count }) => total + count, 0);

test("attempts are counted by their labels, and those after the third as third", () => {
  const counts = new AttemptCounts();
  for (const attempt of [1, 1, 2, 3, 4, 5]) counts.add({ ...LABELS, attempt });
  assert.deepEqual(
    [...counts.all()].map(({ labels, count }) => [labels.attempt, count]),
    [
      [1, 2],
      [2, 1],
      [3, 3],
    ],
  );
});

test("endless versions do not make endless series, and no attempt is lost", () => {
  const counts = new AttemptCounts();
  for (let version = 0; version < 5_000; version += 1) counts.add({ ...LABELS, server_version: `v${version}` });
  assert.equal([...counts.all()].length, 1_001);
  assert.equal(sum(counts), 5_000);
});
