/** The payment process with a bug planted by its wiring; `argv[2]` names it. For tests of the judge. */
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import { runService } from "@ordermesh/runtime/service";
import { SETTINGS } from "../src/config.ts";
import { startPayment } from "../src/payment.ts";
import { CardProvider, type Entry, type LedgerKind } from "../src/provider.ts";

/** Asks again when the provider did not answer, as if the first request had never come: under another key. */
class RepeatingProvider extends CardProvider {
  override capture(entry: Entry, token: string, timeoutMs: number): Promise<LedgerKind> {
    const again = { ...entry, key: `${entry.key}:again` };
    return super.capture(entry, token, timeoutMs).catch(() => super.capture(again, "tok_visa", timeoutMs));
  }
}

const BUGS: Readonly<Record<string, Parameters<typeof startPayment>[1]>> = {
  /** A new key for every attempt. */
  "random-charge-key": { keyOf: (orderId) => `charge:${orderId}:${randomUUID()}` },
  "repeated-capture": { openProvider: (db, clock) => new RepeatingProvider(db, clock) },
};

const bug = BUGS[process.argv[2] ?? ""];
if (bug === undefined) throw new Error(`name one of ${Object.keys(BUGS).join(", ")}`);
await runService({ name: "payment", settings: SETTINGS, start: (context) => startPayment(context, bug) }, env);
