/** Faults of topics and consumer groups: once in each round, however many processes are targets. */

import { GroupVisitor } from "@ordermesh/events/group-visitor";
import { KafkaBus, type KafkaOptions } from "@ordermesh/events/kafka";
import { parametersOf } from "./action.ts";
import type { Sample } from "./admin-ports.ts";
import type { InjectContext } from "./backend.ts";
import { actedOn, type Fault } from "./fault.ts";
import { Growths, type Instances } from "./instances.ts";
import { OncePerRound } from "./once-per-round.ts";
import type { TargetStatus } from "./status.ts";

const DEAD_LETTERS = "messaging_dead_letters_total";
const DUPLICATES = "inbox_duplicates_total";
/** How long a visitor stays in a group. */
const VISIT_MS = 1_000;

type Options = { readonly kafka: KafkaOptions; readonly instances: Instances };

/** Records that are no events come on a topic; whoever consumes it must set each of them aside. */
export function poisonFault({ kafka, instances }: Options): Fault {
  const actionOf = ({ spec }: InjectContext) => parametersOf(spec.action, "PoisonEvent");
  const seen = new Grown(instances, DEAD_LETTERS, (context) => actionOf(context).topic);
  const published = new OncePerRound<void>();
  return {
    ...BY_ITSELF,
    watch: (context) => seen.watch(context),
    inject: async ({ round }, context) => {
      const { topic, count } = actionOf(context);
      await published.do(context.experiment.uid, round, async () => {
        const bus = new KafkaBus(kafka);
        const value = Buffer.from("this is no event");
        await bus.publishRaw(Array.from({ length: count }, () => ({ topic, key: null, value, headers: {} })));
        await bus.close();
      });
    },
    evidence: async (targets, context) => {
      const { count } = actionOf(context);
      const grown = await seen.of(targets, context);
      return { expected: count, observed: Math.min(count, grown), detail: `${grown} dead letters at the targets` };
    },
    forget: (uid) => {
      seen.forget(uid);
      published.forget(uid);
    },
  };
}

/** A group is taken back: the inbox must know every record that comes again. */
export function rewindFault({ kafka, instances }: Options): Fault {
  const actionOf = ({ spec }: InjectContext) => parametersOf(spec.action, "RewindOffsets");
  const seen = new Grown(instances, DUPLICATES, (context) => actionOf(context).topic);
  const rewound = new OncePerRound<number>();
  return {
    ...BY_ITSELF,
    watch: (context) => seen.watch(context),
    inject: async ({ round }, context) => {
      const { group, topic, records } = actionOf(context);
      await rewound.do(context.experiment.uid, round, async () => {
        const visitor = await GroupVisitor.join(kafka, group);
        try {
          return await visitor.rewind(topic, records);
        } finally {
          await visitor.leave();
        }
      });
    },
    evidence: async (targets, context) => {
      const back = rewound.sum(context.experiment.uid);
      const grown = await seen.of(targets, context);
      const detail = `${back} records were to be read again, the inbox of the targets knew ${grown}`;
      return { expected: 1, observed: back > 0 && grown > 0 ? 1 : 0, detail };
    },
    forget: (uid) => {
      seen.forget(uid);
      rewound.forget(uid);
    },
  };
}

/** A member comes and goes in each round; the group shares out its partitions twice. */
export function rebalanceFault({ kafka }: Pick<Options, "kafka">): Fault {
  const visits = new OncePerRound<number>();
  const leaving = new Set<Promise<void>>();
  return {
    inject: async ({ round }, { experiment, spec }) => {
      const { group, topic } = parametersOf(spec.action, "RebalanceStorm");
      await visits.do(experiment.uid, round, async () => {
        const visitor = await GroupVisitor.join(kafka, group);
        const left = leaveLater(visitor).finally(() => leaving.delete(left));
        leaving.add(left);
        return visitor.assigned[topic]?.length ?? 0;
      });
    },
    heal: async () => void (await Promise.all(leaving)),
    isHealed: async () => leaving.size === 0,
    evidence: async (targets, { experiment: { uid } }) => {
      const observed = actedOn(targets).filter(({ round }) => visits.has(uid, round)).length;
      const detail = `${visits.count(uid)} visitors came, and got ${visits.sum(uid)} partitions`;
      return { expected: targets.length, observed, detail };
    },
    forget: (uid) => visits.forget(uid),
  };
}

async function leaveLater(visitor: GroupVisitor): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, VISIT_MS));
  await visitor.leave();
}

/** What was done once needs no undoing. */
const BY_ITSELF = { heal: async () => undefined, isHealed: async () => true } as const;

/** How much a counter of a topic has grown at targets since the fault is watched. */
class Grown {
  readonly #growths = new Growths();
  readonly #instances: Instances;
  readonly #name: string;
  readonly #topicOf: (context: InjectContext) => string;

  constructor(instances: Instances, name: string, topicOf: (context: InjectContext) => string) {
    this.#instances = instances;
    this.#name = name;
    this.#topicOf = topicOf;
  }

  async watch(context: InjectContext): Promise<void> {
    await this.#read(context);
  }

  async of(targets: readonly TargetStatus[], context: InjectContext): Promise<number> {
    const growth = await this.#read(context);
    return [...new Set(targets.map(({ name }) => name))].reduce((sum, name) => sum + growth.of(name), 0);
  }

  forget(uid: string): void {
    this.#growths.forget(uid);
  }

  async #read(context: InjectContext) {
    const label = `messaging_destination_name="${this.#topicOf(context)}"`;
    const isWanted = ({ name, labels }: Sample) => name === this.#name && labels.includes(label);
    return await this.#growths.read(context.experiment.uid, await this.#instances(), isWanted);
  }
}
