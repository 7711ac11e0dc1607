/** What the ledgers say after a run, as plain data: read by ledgers.ts, judged by invariants.ts. */

export type OrderRecord = {
  readonly orderId: string;
  readonly key: string;
  readonly state: string;
  readonly totalMinor: bigint;
  readonly shipment: string | null;
};

/** An entry of the card provider's own ledger. */
export type LedgerEntry = {
  readonly kind: "CAPTURE" | "DECLINE" | "VOID" | "REFUND";
  readonly orderId: string;
  readonly key: string;
  readonly amountMinor: bigint;
};

/** A delivery in the receiver's own log. */
export type Delivery = {
  readonly orderId: string;
  readonly kind: "ORDER_CONFIRMED" | "ORDER_SHIPPED" | "ORDER_CANCELLED";
};

export type StockRecord = {
  readonly sku: string;
  readonly initial: number;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
};

/** An event's effect, in the order in which a consumer had it. */
export type Effect = {
  readonly consumer: string;
  readonly topic: string;
  readonly key: string;
  readonly sequence: bigint;
  readonly eventId: string;
};

/** What a live instance says of itself. */
export type InstanceView = {
  /** `host:port` of its admin server, as it registers it. */
  readonly adminAddress: string;
  /** It serves calls, and so others must find it. */
  readonly isToBeFound: boolean;
  /** Store revision of the policy that it applies. */
  readonly policyRevision: bigint;
  /** Service to the document that it applies, as JSON. */
  readonly policies: ReadonlyMap<string, string>;
  /** All endpoints that it knows, as `service/instance at host:port`: a name whose process was replaced has another address. */
  readonly endpoints: readonly string[];
};

/** What the store says, and what every live instance makes of it. */
export type MeshView = {
  readonly instances: readonly InstanceView[];
  /** `name` is `service/instance`, `address` where it is called. */
  readonly registered: readonly { readonly name: string; readonly address: string; readonly adminAddress: string }[];
  /** Of the last change of a policy document. */
  readonly policyRevision: bigint;
  /** Service to its document as JSON; undefined for one that is not valid, so that the last good one stays. */
  readonly policies: ReadonlyMap<string, string | undefined>;
};

export type World = {
  readonly orders: readonly OrderRecord[];
  readonly ledger: readonly LedgerEntry[];
  readonly deliveries: readonly Delivery[];
  readonly stock: readonly StockRecord[];
  /** Pieces that confirmed orders hold, by SKU. */
  readonly confirmedPieces: ReadonlyMap<string, number>;
  /** Events that were not sent, and those that were parked. */
  readonly unpublished: number;
  readonly parked: number;
  readonly effects: readonly Effect[];
  /** Events that were published, as `topic key sequence`. */
  readonly published: readonly string[];
  /** Undefined where nobody looked; `unreadable` where the store or all instances did not answer. */
  readonly mesh?: MeshView | "unreadable";
};
