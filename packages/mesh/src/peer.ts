/** One endpoint as a client uses it: its connection, made when first needed, and what its calls have shown. */
import type { Candidate } from "./balancer.ts";
import type { Connect, Connection } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointHealth } from "./endpoint-health.ts";

export class Peer implements Candidate {
  readonly endpoint: Endpoint;
  readonly health: EndpointHealth;
  readonly #connect: Connect;
  #connection: Connection | undefined;

  constructor(endpoint: Endpoint, health: EndpointHealth, connect: Connect) {
    this.endpoint = endpoint;
    this.health = health;
    this.#connect = connect;
  }

  get isFailing(): boolean {
    return this.#connection?.state === "failing";
  }

  get connection(): Connection {
    this.#connection ??= this.#connect(this.endpoint.address);
    return this.#connection;
  }

  /** The same instance with a changed document: what was learnt stays, and so does the connection unless it has moved. */
  withEndpoint(endpoint: Endpoint): Peer {
    const isMoved = endpoint.address !== this.endpoint.address;
    const peer = new Peer(endpoint, this.health, this.#connect);
    if (isMoved) this.close();
    else peer.#connection = this.#connection;
    return peer;
  }

  close(): void {
    this.#connection?.close();
  }

  /** What `/debug/mesh` shows. */
  debug(nowMs: number): unknown {
    const { endpoint, health } = this;
    return {
      instance: endpoint.instance,
      address: endpoint.address,
      state: this.#connection?.state ?? "unused",
      inFlight: health.inFlight,
      loadMs: Math.round(health.load(nowMs) * 1_000) / 1_000,
      standing: health.standing(nowMs).kind,
      ejections: health.ejections,
    };
  }
}
