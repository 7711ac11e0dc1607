/** Keeps one experiment's status in memory, with the same guard against a second writer that an API server has. */
import { StaleStatusError, type Store } from "./backend.ts";
import type { ExperimentStatus } from "./status.ts";

export class MemoryStore {
  #status: ExperimentStatus | undefined;
  #version = 0;
  readonly #onChange: (status: ExperimentStatus) => void;

  constructor(onChange: (status: ExperimentStatus) => void = () => undefined) {
    this.#onChange = onChange;
  }

  get status(): ExperimentStatus | undefined {
    return this.#status;
  }

  /** The store of one visit, which begins with the status that is here now. */
  visit(): Store {
    let known = this.#version;
    return {
      load: async () => this.#status,
      save: async (status) => {
        if (known !== this.#version) throw new StaleStatusError("another visit has stored a status");
        this.#status = status;
        known = this.#version += 1;
        this.#onChange(status);
      },
    };
  }
}
