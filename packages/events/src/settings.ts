/** The settings of a process that sends or consumes events, or looks after them. */
import { readFileSync } from "node:fs";
import { integer, list, text, type Values } from "@ordermesh/runtime/config";

export const KAFKA_SETTINGS = {
  kafkaBrokers: list("MESH_KAFKA_BROKERS", "Kafka bootstrap addresses, host:port"),
  kafkaCaFile: text("MESH_KAFKA_CA_FILE", "PEM file of the authorities that vouch for the brokers; empty for no TLS", {
    fallback: "",
  }),
  kafkaUsername: text("MESH_KAFKA_USERNAME", "user for SCRAM-SHA-512; empty for none", { fallback: "" }),
  kafkaPassword: text("MESH_KAFKA_PASSWORD", "password of that user", { fallback: "", secret: true }),
};

export const EVENT_SETTINGS = {
  ...KAFKA_SETTINGS,
  relayChunk: integer("MESH_RELAY_CHUNK", "events that the outbox relay sends in one request", {
    min: 1,
    max: 500,
    fallback: "200",
  }),
};

/** Where Kafka is, and who we are to it. */
export type KafkaAccess = {
  readonly brokers: readonly string[];
  /** PEM; without it connections are not encrypted. */
  readonly ca?: string | undefined;
  /** SCRAM-SHA-512; without it nobody in particular. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined;
};

/** @throws Error when the file of authorities cannot be read */
export function kafkaAccess(config: Values<typeof KAFKA_SETTINGS>): KafkaAccess {
  const { kafkaBrokers, kafkaCaFile, kafkaUsername, kafkaPassword } = config;
  return {
    brokers: kafkaBrokers,
    ca: kafkaCaFile === "" ? undefined : readFileSync(kafkaCaFile, "utf8"),
    credentials: kafkaUsername === "" ? undefined : { username: kafkaUsername, password: kafkaPassword },
  };
}
