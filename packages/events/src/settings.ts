/** The settings of a process that sends or consumes events. */
import { integer, list } from "@ordermesh/runtime/config";

export const EVENT_SETTINGS = {
  kafkaBrokers: list("MESH_KAFKA_BROKERS", "Kafka bootstrap addresses, host:port"),
  relayChunk: integer("MESH_RELAY_CHUNK", "events that the outbox relay sends in one request", {
    min: 1,
    max: 500,
    fallback: "200",
  }),
};
