/** What comes over the API, checked by hand; what is wrong is said in a sentence. Pure. */
import type { Interval } from "@ordermesh/chaos/backend";
import { ORDER_MIXES } from "@ordermesh/chaos/order-mix";
import type { RunRequest } from "./run.ts";

/** The request is wrong; the message says what it must be. */
export class RequestError extends Error {
  override readonly name = "RequestError";
}

const NAME = /^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$/;
const MAX_SEED = 2_147_483_647;

/** @throws RequestError */
export function readName(name: string): string {
  if (!NAME.test(name))
    throw new RequestError("a run's name must be 1 to 100 lower-case letters, digits, dots and dashes");
  return name;
}

/** @throws RequestError */
export function readRunRequest(body: unknown): RunRequest {
  const { ratePerSecond, seed, orders = "Mixed" } = readFields(body, ["ratePerSecond", "seed", "orders"]);
  const mix = ORDER_MIXES.find((known) => known === orders);
  if (mix === undefined) throw new RequestError(`orders must be one of ${ORDER_MIXES.join(", ")}`);
  return { ratePerSecond: readRate(ratePerSecond), seed: readWhole("seed", seed, 0, MAX_SEED), orders: mix };
}

/** @throws RequestError */
export function readRateChange(body: unknown): number {
  return readRate(readFields(body, ["ratePerSecond"]).ratePerSecond);
}

/** @throws RequestError */
export function readRequests(body: unknown): number {
  return readWhole("requests", readFields(body, ["requests"]).requests, 2, 1_000);
}

/** @throws RequestError */
export function readInterval(query: URLSearchParams): Interval {
  const [fromMs, toMs] = ["fromMs", "toMs"].map((name) =>
    readWhole(name, Number(query.get(name) ?? Number.NaN), 0, Number.MAX_SAFE_INTEGER),
  ) as [number, number];
  if (fromMs > toMs) throw new RequestError("fromMs must not be after toMs");
  return { fromMs, toMs };
}

function readFields(body: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new RequestError("the body must be a JSON object");
  const unknown = Object.keys(body).find((field) => !known.includes(field));
  if (unknown !== undefined) throw new RequestError(`the body must have only ${known.join(", ")}`);
  return { ...body };
}

function readRate(value: unknown): number {
  if (typeof value !== "number" || !(value >= 0.1 && value <= 5_000))
    throw new RequestError("ratePerSecond must be a number from 0.1 to 5000");
  return value;
}

function readWhole(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
    throw new RequestError(`${name} must be a whole number from ${min} to ${max}`);
  return value;
}
