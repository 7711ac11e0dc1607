/** Says what a long step is doing: a line when it begins and one when it ends, with seconds. */

export type Progress = <T>(title: string, work: () => Promise<T>) => Promise<T>;

/** Writes to `out`; colours only on a terminal. */
export function progressTo(out: NodeJS.WriteStream): Progress {
  const dim = (text: string) => (out.isTTY ? `\u001b[2m${text}\u001b[0m` : text);
  return async (title, work) => {
    out.write(`${title} …\n`);
    const startedMs = performance.now();
    const result = await work();
    out.write(dim(`${title}: ${((performance.now() - startedMs) / 1_000).toFixed(1)} s\n`));
    return result;
  };
}

export const silent: Progress = (_title, work) => work();
