/** Identifiers: UUIDs of version 7 (RFC 9562), which sort by time and so keep indexes compact. */
import { randomBytes } from "node:crypto";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Makes an identifier; `wallMs` is milliseconds since the Unix epoch. A parameter where a run must be had again. */
export type NewId = (wallMs: number) => string;

/** 48 bits of time, 74 of chance: cannot be guessed. */
export const newId: NewId = (wallMs) => {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(wallMs, 0, 6);
  bytes[6] = 0x70 | (bytes.readUInt8(6) & 0x0f);
  bytes[8] = 0x80 | (bytes.readUInt8(8) & 0x3f);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

/** True for a UUID in lower case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
