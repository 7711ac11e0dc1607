/** What is done once in a round of an experiment, however many targets there are; a second one waits for the first. */

export class OncePerRound<T> {
  readonly #started = new Map<string, Map<number, Promise<T>>>();
  readonly #done = new Map<string, Map<number, T>>();

  /** What failed may be tried again. */
  async do(uid: string, round: number, work: () => Promise<T>): Promise<T> {
    const rounds = this.#started.get(uid) ?? new Map<number, Promise<T>>();
    this.#started.set(uid, rounds);
    const running = rounds.get(round) ?? work();
    rounds.set(round, running);
    try {
      const result = await running;
      this.#done.set(uid, (this.#done.get(uid) ?? new Map<number, T>()).set(round, result));
      return result;
    } catch (error) {
      rounds.delete(round);
      throw error;
    }
  }

  has(uid: string, round: number): boolean {
    return this.#done.get(uid)?.has(round) ?? false;
  }

  /** What it resolved with; undefined for one that was not done. */
  get(uid: string, round: number): T | undefined {
    return this.#done.get(uid)?.get(round);
  }

  /** Rounds that were done. */
  count(uid: string): number {
    return this.#done.get(uid)?.size ?? 0;
  }

  /** Of what the rounds resolved with. */
  sum(this: OncePerRound<number>, uid: string): number {
    return [...(this.#done.get(uid)?.values() ?? [])].reduce((sum, value) => sum + value, 0);
  }

  forget(uid: string): void {
    this.#started.delete(uid);
    this.#done.delete(uid);
  }
}
