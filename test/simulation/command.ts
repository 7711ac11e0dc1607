/** A random command to a service's tables, and what commands have in common. */
import type { OrderRow } from "@ordermesh/order/store";
import type { Chance } from "./chance.ts";
import type { Subject } from "./subjects.ts";

/** Drawn once, run on each subject. */
export type Command = { readonly name: string; readonly run: (subject: Subject, memory: Memory) => Promise<unknown> };
/** What a subject has answered, for later commands. */
export type Memory = { rows: OrderRow[] };
export type Draw = (chance: Chance) => Command;

export const IDS = [1, 2, 3, 4].map((number) => `019b76da-a800-7000-8000-00000000000${number}`);
export const SHIP_TO = {
  name: "Ada",
  street: "12 St James Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
};
