/** Which service an experiment means. Pure. */

export const COMPONENT_LABEL = "app.kubernetes.io/component";

/** @throws Error when the selector does not say */
export function serviceOf(matchLabels: Readonly<Record<string, string>>): string {
  const service = matchLabels[COMPONENT_LABEL];
  if (service === undefined)
    throw new Error(`this action is for a service: the selector must have the label ${COMPONENT_LABEL}`);
  return service;
}
