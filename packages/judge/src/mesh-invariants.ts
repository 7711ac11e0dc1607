/** Whether every live instance applies the policy and knows the endpoints that the store holds. Pure; judged at rest. */
import { type Finding, finding, unknownFinding } from "./finding.ts";
import type { InstanceView, MeshView, World } from "./world.ts";

/** Nothing where nobody looked: what was not examined is not held. */
export function judgeMesh(mesh: World["mesh"]): Finding[] {
  if (mesh === undefined) return [];
  if (mesh !== "unreadable") return [configConverged(mesh), registryTruth(mesh)];
  const why = "the store, or every instance, did not answer";
  return [unknownFinding("I10", "ConfigConverged", why), unknownFinding("I11", "RegistryTruth", why)];
}

function configConverged(mesh: MeshView): Finding {
  const { instances, policies, policyRevision } = mesh;
  const problems = instances.flatMap((instance) => {
    const name = nameOf(instance, mesh);
    if (instance.policyRevision < policyRevision)
      return [`${name} applies revision ${instance.policyRevision}, the last change is ${policyRevision}`];
    const services = new Set([...policies.keys(), ...instance.policies.keys()]);
    return [...services].flatMap((service) => whyOther(service, instance, policies).map((why) => `${name} ${why}`));
  });
  return finding("I10", "ConfigConverged", instances.length, problems);
}

function whyOther(service: string, { policies: applied }: InstanceView, policies: MeshView["policies"]): string[] {
  if (!policies.has(service)) return [`applies a policy of ${service} that is not there any more`];
  const stored = policies.get(service);
  if (stored === undefined || stored === applied.get(service)) return [];
  return [applied.has(service) ? `applies another policy of ${service}` : `does not apply the policy of ${service}`];
}

function registryTruth(mesh: MeshView): Finding {
  const { instances, registered } = mesh;
  const live = new Set(instances.map(({ adminAddress }) => adminAddress));
  const known = new Set(registered.map(({ adminAddress }) => adminAddress));
  const ghosts = registered.filter(({ adminAddress }) => !live.has(adminAddress));
  const unfound = instances.filter(({ isToBeFound, adminAddress }) => isToBeFound && !known.has(adminAddress));
  const problems = [
    ...ghosts.map(({ name }) => `${name} is registered and does not answer`),
    ...unfound.map(({ adminAddress }) => `the instance at ${adminAddress} serves and is not registered`),
    ...instances.flatMap((instance) => whyOtherEndpoints(instance, mesh)),
  ];
  return finding("I11", "RegistryTruth", registered.length + instances.length, problems);
}

function whyOtherEndpoints(instance: InstanceView, mesh: MeshView): string[] {
  const own = nameOf(instance, mesh);
  const stored = new Set(mesh.registered.map(({ name, address }) => `${name} at ${address}`));
  const known = new Set(instance.endpoints);
  return [
    ...[...known]
      .filter((place) => !stored.has(place))
      .map((place) => `${own} would call ${place}, which is not registered`),
    ...[...stored].filter((place) => !known.has(place)).map((place) => `${own} does not know ${place}`),
  ];
}

function nameOf({ adminAddress }: InstanceView, { registered }: MeshView): string {
  return registered.find((endpoint) => endpoint.adminAddress === adminAddress)?.name ?? adminAddress;
}
