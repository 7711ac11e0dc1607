/** Memory as Kubernetes writes it. Pure. */
const MIB_OF_UNIT = new Map([
  ["Ki", 1 / 1024],
  ["Mi", 1],
  ["Gi", 1024],
]);

/** @throws RangeError for a unit that this project does not use */
export function toMib(quantity: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(quantity) ?? [];
  const factor = MIB_OF_UNIT.get(unit);
  if (factor === undefined) throw new RangeError(`${quantity} is no amount of Ki, Mi or Gi`);
  return Number(amount) * factor;
}
