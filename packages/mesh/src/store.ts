/** The port to the store that holds endpoints and live configuration. etcd.ts and memory-store.ts implement it. */

/** All entries under a prefix at one revision. */
export type Snapshot = {
  /** The store's revision; ascends unless the store was restored from a backup. */
  readonly revision: bigint;
  /** Full key to value. */
  readonly entries: ReadonlyMap<string, string>;
};

/** A lease that was granted; its keys vanish when it ends. */
export type Lease = {
  /** Attaches a key to the lease. @throws MeshError unavailable STORE_UNAVAILABLE */
  put(key: string, value: string): Promise<void>;
  /** Extends the lease by its TTL; false when it has ended. @throws MeshError unavailable STORE_UNAVAILABLE */
  keepAlive(): Promise<boolean>;
  /** Ends the lease and removes its keys. @throws MeshError unavailable STORE_UNAVAILABLE */
  revoke(): Promise<void>;
};

export type Subscription = { close(): void };

export type Store = {
  /**
   * Calls `onSnapshot` with whole snapshots: first with a listing, then after every change and after every listing made
   * because a watch broke. While the store cannot be reached nothing is called: what was seen last stays true.
   */
  subscribe(prefix: string, onSnapshot: (snapshot: Snapshot) => void): Subscription;
  /** @throws MeshError unavailable STORE_UNAVAILABLE */
  grant(ttlS: number): Promise<Lease>;
  close(): void;
};
