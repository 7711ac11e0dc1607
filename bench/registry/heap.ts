/** What the registry takes of one client's memory. Arguments: endpoints, services. Needs --expose-gc; prints one JSON line. */
import { argv } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshot, Store } from "@ordermesh/mesh/store";
import { aFleet, ClientView, put, serviceName } from "./fleet.ts";

const CALLED = 5;
const [endpoints = "1000", services = "1"] = argv.slice(2);

/** Keeps nothing itself: as etcd.ts, it hands out a map that it copies from its own. */
function oneListing(listed: (snapshot: () => Snapshot) => void): Store {
  return {
    subscribe(prefix, onSnapshot) {
      if (prefix.endsWith("/endpoints/")) listed(() => snapshotTo(onSnapshot));
      return { close() {} };
    },
    grant: () => Promise.reject(new Error("read only")),
    close() {},
  };
}

/** Strings as they come from the network: not shared with anything. */
function snapshotTo(onSnapshot: (snapshot: Snapshot) => void): Snapshot {
  const entries = aFleet(Number(endpoints), Number(services)).map((endpoint) =>
    put(endpoint).map((text) => Buffer.from(text).toString()),
  );
  const snapshot = { revision: 2n, entries: new Map(entries as [string, string][]) };
  onSnapshot({ ...snapshot, entries: new Map(snapshot.entries) });
  return snapshot;
}

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 4; round += 1) {
    gc?.();
    await sleep(20);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const called = Array.from({ length: Math.min(CALLED, Number(services)) }, (_, number) => serviceName(number));
let fill: (() => Snapshot) | undefined;
const view = new ClientView(
  () =>
    oneListing((snapshot) => {
      fill = snapshot;
    }),
  called,
);
const before = await heapBytes();
const listing = fill?.();
const bytes = (await heapBytes()) - before;
const known = [...view.table.services.values()].reduce((sum, of) => sum + of.length, 0);
const documentBytes = [...(listing?.entries ?? [])].reduce((sum, [key, text]) => sum + key.length + text.length, 0);
const each = { bytesEach: bytes / known, documentBytesEach: documentBytes / known };
process.stdout.write(`${JSON.stringify({ endpoints: known, bytes, ...each })}\n`);
