/** The topics of the system. */
export const TOPICS = { orders: "orders", shipments: "shipments", deadLetters: "dead-letters" } as const;

/** Orders are spread over this many partitions by their id. */
export const PARTITIONS = 3;
