/** Every metric of the events, declared once. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type EventMetrics = {
  readonly sent: Counter<"messaging_system" | "messaging_destination_name">;
  readonly sendErrors: Counter<"error_type">;
  readonly connectionErrors: Counter;
  readonly parked: Counter;
  readonly waiting: Gauge;
  readonly oldestAge: Gauge;
  readonly consumed: Counter<"messaging_system" | "messaging_destination_name">;
  readonly duplicates: Counter<"messaging_destination_name">;
  readonly processing: Histogram<"messaging_destination_name">;
  readonly delay: Histogram<"messaging_destination_name">;
  readonly deadLetters: Counter<"messaging_destination_name">;
};

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export function createEventMetrics(registry: Registry): EventMetrics {
  const registers = [registry];
  return {
    ...createConsumerMetrics(registry),
    sent: new Counter({
      name: "messaging_client_sent_messages_total",
      help: "Events that Kafka acknowledged",
      labelNames: ["messaging_system", "messaging_destination_name"],
      registers,
    }),
    sendErrors: new Counter({
      name: "messaging_client_send_errors_total",
      help: "Batches that Kafka did not acknowledge",
      labelNames: ["error_type"],
      registers,
    }),
    connectionErrors: new Counter({
      name: "messaging_client_connection_errors_total",
      help: "Connections to brokers that broke, or that could not be made",
      registers,
    }),
    parked: new Counter({
      name: "outbox_parked_total",
      help: "Events that can never be sent and were set aside",
      registers,
    }),
    waiting: new Gauge({ name: "outbox_unpublished_events", help: "Events that wait to be sent", registers }),
    oldestAge: new Gauge({
      name: "outbox_oldest_age_seconds",
      help: "Age of the oldest event that waits to be sent",
      registers,
    }),
  };
}

function createConsumerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    consumed: new Counter({
      name: "messaging_client_consumed_messages_total",
      help: "Records that were handled, dropped as duplicates or dead-lettered",
      labelNames: ["messaging_system", "messaging_destination_name"],
      registers,
    }),
    duplicates: new Counter({
      name: "inbox_duplicates_total",
      help: "Events that the inbox had seen before",
      labelNames: ["messaging_destination_name"],
      registers,
    }),
    processing: new Histogram({
      name: "messaging_process_duration_seconds",
      help: "Handling of a batch, with its transaction",
      labelNames: ["messaging_destination_name"],
      buckets: SECONDS,
      registers,
    }),
    delay: new Histogram({
      name: "messaging_delay_seconds",
      help: "From the event's time to the commit of its effect, by wall clocks",
      labelNames: ["messaging_destination_name"],
      buckets: SECONDS,
      registers,
    }),
    deadLetters: new Counter({
      name: "messaging_dead_letters_total",
      help: "Records that were sent to the dead letters",
      labelNames: ["messaging_destination_name"],
      registers,
    }),
  };
}
