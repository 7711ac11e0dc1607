/** The XML is checked by its text: there is no parser here, and CI systems read it by its elements. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toJunit } from "./junit.ts";

test("suites and cases are counted by what became of them", () => {
  const xml = toJunit([
    { name: "first", cases: [{ name: "fine", seconds: 1.5, problem: undefined }], startedAt: "2026-01-01T00:00:00Z" },
    {
      name: "second",
      seconds: 9,
      cases: [
        { name: "wrong", seconds: 0, problem: { kind: "failure", message: "lost" } },
        { name: "unclear", seconds: 0, problem: { kind: "error", message: "no data" } },
        { name: "left out", seconds: 0, problem: { kind: "skipped", message: "not here" } },
      ],
    },
  ]);
  assert.equal(
    xml,
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" errors="1" skipped="1">
  <testsuite name="first" tests="1" failures="0" errors="0" skipped="0" time="1.500" timestamp="2026-01-01T00:00:00Z">
    <testcase classname="first" name="fine" time="1.500"/>
  </testsuite>
  <testsuite name="second" tests="3" failures="1" errors="1" skipped="1" time="9.000">
    <testcase classname="second" name="wrong" time="0.000"><failure message="lost"/></testcase>
    <testcase classname="second" name="unclear" time="0.000"><error message="no data"/></testcase>
    <testcase classname="second" name="left out" time="0.000"><skipped message="not here"/></testcase>
  </testsuite>
</testsuites>
`,
  );
});

test("whatever is in a text, the XML can be read", () => {
  const message = `</failure><script> & "a"\n\u0000\u0007\ud800\ufffe 😀`;
  const xml = toJunit([{ name: `<"&`, cases: [{ name: "x", seconds: 0, problem: { kind: "failure", message } }] }]);
  assert.match(xml, /name="&lt;&quot;&amp;"/);
  const shown = "&lt;/failure&gt;&lt;script&gt; &amp; &quot;a&quot;&#10;\ufffd\ufffd\ufffd\ufffd 😀";
  assert.ok(xml.includes(`message="${shown}"`), xml);
});
