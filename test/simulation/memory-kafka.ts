/** Kafka in memory, behind the ports of the relay and the consumers: partitioned logs, groups with members and offsets. */
import type { Batch, RawRecord } from "@ordermesh/events/bus";
import type { ConsumerBus } from "@ordermesh/events/consumer";
import { type InboundRecord, toHeaders } from "@ordermesh/events/event";
import type { Publisher } from "@ordermesh/events/relay";
import { MeshError } from "@ordermesh/mesh/errors";
import type { Chance } from "./chance.ts";
import type { Network } from "./network.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";

const PARTITIONS = 2;
const MAX_BATCH = 4;
const RETRY_MS = 100;

type Partition = { readonly topic: string; readonly number: number; readonly log: InboundRecord[] };
type Member = {
  readonly owner: SimulatedProcess;
  readonly handle: (batch: Batch) => Promise<void>;
  readonly onFatal: (error: Error) => void;
};
/** One partition as a group consumes it. The generation grows with every new owner, so that an old one cannot commit. */
type Assignment = { readonly partition: Partition; committed: number; member: Member | undefined; generation: number };
type Group = { readonly members: Set<Member>; readonly assignments: Assignment[] };
type Ports = Publisher & ConsumerBus;

export class MemoryKafka {
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #chance: Chance;
  readonly #partitions = new Map<string, readonly Partition[]>();
  readonly #groups = new Map<string, Group>();

  constructor(scheduler: Scheduler, network: Network, chance: Chance) {
    this.#scheduler = scheduler;
    this.#network = network;
    this.#chance = chance;
  }

  /** Every record of the topic, in no order between partitions. */
  records(topic: string): readonly InboundRecord[] {
    return this.#partitionsOf(topic).flatMap(({ log }) => log);
  }

  /** What one process uses. */
  connect(owner: SimulatedProcess): Ports {
    const publishRaw = (records: readonly RawRecord[]) => this.#publish(owner, records);
    return {
      publishRaw,
      publish: (events) =>
        publishRaw(
          events.map((event) => ({
            topic: event.topic,
            key: event.key,
            value: Buffer.from(event.data),
            headers: toHeaders(event),
          })),
        ),
      consume: (group, topics, handle, onFatal) => this.#join(group, topics, { owner, handle, onFatal }),
    };
  }

  /** Gives a random partition of a random group to a member chosen anew, although the old one may be at work on it. */
  rebalance(): void {
    const groups = [...this.#groups.values()].filter(({ members }) => members.size > 0);
    if (groups.length === 0) return;
    const { members, assignments } = this.#chance.pick(groups);
    this.#assign(this.#chance.pick(assignments), this.#chance.pick([...members]));
  }

  /** Makes a random group begin again, as after its offsets were reset. */
  rewind(): void {
    const groups = [...this.#groups.values()].filter(({ members }) => members.size > 0);
    if (groups.length === 0) return;
    const { members, assignments } = this.#chance.pick(groups);
    const assignment = this.#chance.pick(assignments);
    assignment.committed = this.#chance.whole(0, assignment.committed);
    this.#assign(assignment, this.#chance.pick([...members]));
  }

  /** Resolves when every partition that the records are for has them; rejects when that is not known. */
  async #publish(owner: SimulatedProcess, records: readonly RawRecord[]): Promise<void> {
    const byPartition = Map.groupBy(records, (record) => this.#partitionOf(record));
    await Promise.all([...byPartition].map(([partition, own]) => this.#append(owner, partition, own)));
  }

  #append(owner: SimulatedProcess, partition: Partition, records: readonly RawRecord[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fate = this.#network.kafkaFate();
    const label = `${partition.topic}-${partition.number}`;
    const fail = () => reject(new MeshError("unavailable", "BROKER_UNAVAILABLE", "Kafka did not take the events"));
    const acknowledge = () =>
      this.#scheduler.at(this.#network.delayMs(), owner, `${label} acked`, fate === "delivered" ? resolve : fail);
    if (fate === "request-lost") acknowledge();
    else
      this.#scheduler.at(this.#network.delayMs(), undefined, `${owner.name} to ${label}`, () => {
        for (const record of records) partition.log.push(inbound(record, partition));
        for (const group of this.#groups.values())
          for (const assignment of group.assignments) if (assignment.partition === partition) this.#wake(assignment);
        acknowledge();
      });
    return promise;
  }

  #partitionsOf(topic: string): readonly Partition[] {
    const known = this.#partitions.get(topic);
    if (known !== undefined) return known;
    const made = Array.from({ length: PARTITIONS }, (_, number) => ({ topic, number, log: [] }));
    this.#partitions.set(topic, made);
    return made;
  }

  #partitionOf({ topic, key }: RawRecord): Partition {
    const partitions = this.#partitionsOf(topic);
    const sum = Buffer.from(key ?? "").reduce((total, byte) => total + byte, 0);
    const partition = partitions[sum % partitions.length];
    if (partition === undefined) throw new RangeError("a topic has partitions");
    return partition;
  }

  #join(name: string, topics: readonly string[], member: Member): void {
    const newGroup = (): Group => {
      const partitions = topics.flatMap((topic) => this.#partitionsOf(topic));
      const assignments = partitions.map((partition) => ({
        partition,
        committed: 0,
        member: undefined,
        generation: 0,
      }));
      return { members: new Set(), assignments };
    };
    const group = this.#groups.get(name) ?? newGroup();
    this.#groups.set(name, group);
    group.members.add(member);
    for (const assignment of group.assignments)
      if (assignment.member === undefined || this.#chance.is(1 / group.members.size)) this.#assign(assignment, member);
    member.owner.onCrash(() => {
      group.members.delete(member);
      this.#scheduler.at(this.#chance.between(0, 1_000), undefined, `${name} loses a member`, () => {
        for (const assignment of group.assignments)
          if (assignment.member === member)
            this.#assign(assignment, group.members.size === 0 ? undefined : this.#chance.pick([...group.members]));
      });
    });
  }

  #assign(assignment: Assignment, member: Member | undefined): void {
    assignment.member = member;
    assignment.generation += 1;
    this.#idle.add(assignment);
    this.#positions.set(assignment, assignment.committed);
    this.#wake(assignment);
  }

  /** Assignments whose member waits for records. */
  readonly #idle = new Set<Assignment>();
  /** What comes next for the member that has the partition. */
  readonly #positions = new Map<Assignment, number>();

  #wake(assignment: Assignment): void {
    const { member, generation, partition } = assignment;
    if (member === undefined || !this.#idle.has(assignment)) return;
    if (partition.log.length <= (this.#positions.get(assignment) ?? 0)) return;
    this.#idle.delete(assignment);
    this.#fetch(assignment, member, generation, this.#network.delayMs());
  }

  #fetch(assignment: Assignment, member: Member, generation: number, delayMs: number): void {
    const { topic, number } = assignment.partition;
    this.#scheduler.at(delayMs, member.owner, `fetch ${topic}-${number}`, () => {
      if (assignment.generation !== generation) return;
      const goOn = (pauseMs: number) => {
        if (assignment.generation !== generation) return;
        if (pauseMs > 0) this.#positions.set(assignment, assignment.committed);
        this.#idle.add(assignment);
        if (pauseMs === 0) this.#wake(assignment);
        else this.#scheduler.at(pauseMs, undefined, "fetch again", () => this.#wake(assignment));
      };
      member.handle(this.#batch(assignment, member, generation)).then(
        () => goOn(0),
        () => goOn(RETRY_MS),
      );
    });
  }

  #batch(assignment: Assignment, { owner }: Member, generation: number): Batch {
    const { topic, number, log } = assignment.partition;
    const from = this.#positions.get(assignment) ?? 0;
    const to = Math.min(log.length, from + this.#chance.whole(1, MAX_BATCH));
    const skip = () => {
      if (assignment.generation === generation) this.#positions.set(assignment, to);
    };
    const commit = () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const fate = this.#network.kafkaFate();
      const answer = (isDone: boolean) => {
        if (isDone && fate !== "reply-lost") resolve();
        else reject(new Error("the offsets may not be committed"));
      };
      this.#scheduler.at(this.#network.delayMs(), undefined, `${owner.name} commits ${topic}-${number}`, () => {
        const isDone = fate !== "request-lost" && assignment.generation === generation;
        if (isDone) assignment.committed = to;
        this.#scheduler.at(this.#network.delayMs(), owner, `committed ${topic}-${number}`, () => answer(isDone));
      });
      skip();
      return promise;
    };
    return { topic, partition: number, records: log.slice(from, to), skip, commit };
  }
}

function inbound({ topic, key, value, headers }: RawRecord, { number, log }: Partition): InboundRecord {
  return {
    topic,
    partition: number,
    offset: String(log.length),
    key: key === null ? null : Buffer.from(key),
    value,
    headers,
  };
}
