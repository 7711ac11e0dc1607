/** A prepared statement by its name, as a function on rows in memory. statements.contract.test.ts holds both to the same answers. */
import type { View } from "../memory-tables.ts";

/** Gives the statement's rows. Runs again from its beginning after it had to wait. */
export type Run = (view: View, values: unknown[]) => readonly object[];
export type Statements = Readonly<Record<string, Run>>;
