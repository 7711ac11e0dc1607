/** Wires the notification service. */
import { type CommitPolicy, startConsumer } from "@ordermesh/events/consumer";
import { type InboxPolicy, inboxInTransaction } from "@ordermesh/events/inbox";
import { KafkaBus } from "@ordermesh/events/kafka";
import { createEventMetrics } from "@ordermesh/events/metrics";
import { EVENTS_MIGRATIONS, EVENTS_TABLE } from "@ordermesh/events/outbox";
import { kafkaAccess } from "@ordermesh/events/settings";
import { TOPICS } from "@ordermesh/events/topics";
import { migrate } from "@ordermesh/runtime/migrate";
import { type Database, Db } from "@ordermesh/runtime/postgres";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Wakeup } from "@ordermesh/runtime/wakeup";
import type { SETTINGS } from "./config.ts";
import { type Deliver, MESSAGE_CHANNEL, Messages } from "./messages.ts";
import { notificationService } from "./server.ts";

const SEND_BATCH = 200;
/** Mails go one after another, and all must be gone before the claim on them is over. */
const MAIL_BATCH = 20;
const SEND_POLL_MS = 1_000;
const ERROR_PAUSE_MS = 500;

/** Parameters only so that tests can plant the bugs of another inbox and of early commits. */
type Policies = { readonly inbox?: InboxPolicy; readonly commit?: CommitPolicy };

export async function startNotification(
  context: ServiceContext<typeof SETTINGS>,
  { inbox = inboxInTransaction, commit = "after-work" }: Policies = {},
) {
  const { config, log, metrics, clock, random, lifecycle } = context;
  const { postgresUrl: url, postgresPoolSize: poolSize, smtpUrl, mailFrom } = config;
  const migration = { url, clock, log, signal: lifecycle.stopping };
  await migrate({ ...migration, dir: EVENTS_MIGRATIONS, table: EVENTS_TABLE });
  await migrate({ ...migration, dir: new URL("../migrations/", import.meta.url), table: "notification_migrations" });
  const db = new Db({ url, poolSize, log, metrics, clock, random });
  const messages = new Messages(db, clock);

  const eventMetrics = createEventMetrics(metrics.registry);
  const bus = new KafkaBus({ ...kafkaAccess(config), clientId: "notification", log, clock, metrics: eventMetrics });
  const common = { db, bus, log, metrics: eventMetrics, clock, random, signal: lifecycle.stopping };
  const handle = (...batch: Parameters<Messages["queue"]>) => messages.queue(...batch);
  const onFatal = (error: Error) => lifecycle.fail(error);
  startConsumer({
    ...common,
    group: "notification",
    topics: [TOPICS.orders, TOPICS.shipments],
    handle,
    onFatal,
    inbox,
    commit,
  });

  const toMailbox: Deliver = (batch) => messages.deliverToMailbox(batch);
  const mail =
    smtpUrl === "" ? undefined : (await import("./smtp.ts")).smtpDelivery({ url: smtpUrl, from: mailFrom, log });
  const send =
    mail === undefined
      ? () => messages.sendWaiting(toMailbox, SEND_BATCH)
      : () => messages.sendWaiting(async (batch) => toMailbox(await mail(batch)), MAIL_BATCH);
  const sending = sendUntilStopped(send, common);

  lifecycle.onDrain("send", () => sending);
  lifecycle.onClose("postgres", () => db.close());
  lifecycle.onClose("kafka", () => bus.close());
  return [notificationService(messages)];
}

/** What a loop that runs until a process stops needs of it. */
type Loop = Pick<ServiceContext<typeof SETTINGS>, "clock" | "log"> & {
  readonly db: Database;
  readonly signal: AbortSignal;
};

export async function sendUntilStopped(send: () => Promise<number>, { db, clock, log, signal }: Loop): Promise<void> {
  const wakeup = new Wakeup(clock);
  db.listen(MESSAGE_CHANNEL, () => wakeup.wake());
  while (!signal.aborted) {
    try {
      if ((await send()) > 0) continue;
      await wakeup.wait(SEND_POLL_MS, signal);
    } catch (error) {
      log.warn({ "error.type": error instanceof Error ? error.name : "unknown" }, "sending failed, trying again");
      await clock.sleep(ERROR_PAUSE_MS, signal);
    }
  }
}
