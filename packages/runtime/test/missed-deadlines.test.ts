/** Callers give up by the thousand, as they do when a server is slow: that is no attack, and the calls beside them go on. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { serve } from "@ordermesh/local/under-test";
import type { MeshError } from "@ordermesh/mesh/errors";
import { PaymentServiceDefinition } from "@ordermesh/proto/ordermesh/payment/v1/payment";
import { implement } from "../src/grpc-service.ts";

const GIVEN_UP = 4_000;
const AT_A_TIME = 100;
const REQUEST = { orderId: "one", amount: undefined, paymentToken: "tok" };

test("thousands of missed deadlines end nothing but their own calls", async (t) => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const mesh = await serve(t, "payment", [
    implement(PaymentServiceDefinition, {
      charge: async (_request, { signal }) => {
        if (!signal.aborted) await once(signal, "abort");
        return { payment: undefined };
      },
      refund: async () => {
        asked.resolve();
        await release.promise;
        return { payment: undefined };
      },
      getPayment: async () => ({ payment: undefined }),
    }),
  ]);
  const client = mesh.client(PaymentServiceDefinition, "payment");
  const beside = client.refund({ orderId: "one" }, { timeoutMs: 25_000 });
  await asked.promise;
  const kinds: Record<string, number> = {};
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let call = 0; call < GIVEN_UP / AT_A_TIME; call += 1) {
        const kind = await client.charge(REQUEST, { timeoutMs: 30 }).then(
          () => "answered",
          (error: MeshError) => `${error.kind} ${error.reason}`,
        );
        kinds[kind] = (kinds[kind] ?? 0) + 1;
      }
    }),
  );
  release.resolve();
  // A call that comes before the server has cleared away those that were given up may be one too many.
  const missed = Object.entries(kinds).filter(([kind]) => kind.startsWith("deadline "));
  assert.ok(missed.reduce((sum, [, count]) => sum + count, 0) >= 0.97 * GIVEN_UP, JSON.stringify(kinds));
  assert.deepEqual(
    Object.keys(kinds).filter((kind) => !kind.startsWith("deadline ") && !kind.startsWith("exhausted ")),
    [],
  );
  assert.deepEqual(await beside, { payment: undefined });
});
