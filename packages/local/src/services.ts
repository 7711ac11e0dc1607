/** Our services as data: what `System` starts, and what each needs. */

export type ServiceSpec = {
  readonly name: string;
  readonly hasGrpc: boolean;
  readonly hasDatabase: boolean;
  readonly hasEvents: boolean;
};

export const SERVICES: readonly ServiceSpec[] = [
  { name: "inventory", hasGrpc: true, hasDatabase: true, hasEvents: false },
  { name: "payment", hasGrpc: true, hasDatabase: true, hasEvents: false },
  { name: "order", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "shipping", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "notification", hasGrpc: true, hasDatabase: true, hasEvents: true },
  { name: "storefront", hasGrpc: false, hasDatabase: false, hasEvents: false },
];
