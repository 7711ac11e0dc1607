import assert from "node:assert/strict";
import { test } from "node:test";
import { readExperiments } from "@ordermesh/chaos/experiment-file";
import { BAD_DOCUMENTS, goodDocument } from "./bad-documents.ts";

const read = (document: object) => readExperiments(JSON.stringify(document), { createdAtMs: 0, uid: (name) => name });

test("the document that the bad ones are made of is good", () => assert.equal(read(goodDocument()).length, 1));

for (const { what, change, blames } of BAD_DOCUMENTS)
  test(`a file with ${what} is refused, and ${blames} is blamed`, () => {
    const document = goodDocument();
    change(document);
    assert.throws(
      () => read(document),
      (error: Error) => error.name === "ExperimentFileError" && error.message.includes(blames),
    );
  });
