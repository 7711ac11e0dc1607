/** `make start-order`: the parts and services start in random orders; nobody may give up. Exit codes: 0 as promised, 1 not so. */
import { seeded } from "@ordermesh/mesh/seeded";
import { readCommandLine } from "@ordermesh/runtime/command-line";
import { Customer } from "../harness/customer.ts";
import { startShuffled } from "./shuffled.ts";

const HELP = 'Usage: make start-order ARGS="[--rounds 10] [--seed 1]"\n';

const { values } = readCommandLine(
  {
    options: {
      rounds: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean" },
    },
  },
  HELP,
);
if (values.help) process.stdout.write(HELP);
else process.exitCode = await rounds(Number(values.rounds), Number(values.seed));

async function rounds(count: number, seed: number): Promise<number> {
  let gaveUp = 0;
  for (let round = 1; round <= count; round += 1) {
    const { order, restarts, seconds, system } = await startShuffled(
      `start-order-${round}`,
      seeded(seed * 1_000 + round),
    );
    try {
      const { status } = await new Customer(system.url).place({ key: `round-${round}`, card: "tok_visa" });
      gaveUp += restarts;
      process.stdout.write(
        `round ${round}: ready after ${seconds.toFixed(1)} s, ${restarts} gave up, first order ${status}; order: ${order.join(", ")}\n`,
      );
    } finally {
      await system.stop();
    }
  }
  process.stdout.write(`${gaveUp} processes gave up in ${count} rounds\n`);
  return gaveUp === 0 ? 0 : 1;
}
