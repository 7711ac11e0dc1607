/** Checks answers of the API against the OpenAPI document that the API itself serves. */
import assert from "node:assert/strict";
import fastify, { type FastifyInstance, type LightMyRequestResponse } from "fastify";

type Described = Record<string, Record<string, { responses: Record<string, { content: Record<string, Content> }> }>>;
type Content = { schema: object };

/** Fails when the document does not describe `response` as the answer of `operation`, such as `get /api/orders/{orderId}`. */
export async function assertDescribed(app: FastifyInstance, operation: string, response: LightMyRequestResponse) {
  const document = (await app.inject("/openapi.json")).json<{ paths: Described }>();
  const [method = "", path = ""] = operation.split(" ");
  const responses = document.paths[path]?.[method]?.responses ?? {};
  const status = String(response.statusCode);
  const described = responses[status] ?? responses[`${status[0]}XX`];
  const type = String(response.headers["content-type"]).split(";")[0] ?? "";
  const schema = described?.content[type]?.schema;
  assert.ok(schema, `${operation} describes no ${status} of ${type}`);
  const checker = fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } });
  checker.post("/", { schema: { body: schema } }, () => "fits");
  const checked = await checker.inject({ method: "POST", url: "/", payload: response.json() });
  assert.equal(checked.body, "fits");
}
