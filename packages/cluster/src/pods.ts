/** What keeps pods from running, in sentences. Pure. */

export type PodFacts = {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly image: string;
      readonly state: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
    }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
};

const NO_IMAGE = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];

/** What waiting does not mend: one sentence for each image that cannot be had. */
export function hopeless(pods: readonly PodFacts[]): string[] {
  const images = pods.flatMap(({ status }) =>
    (status.containerStatuses ?? [])
      .filter(({ state }) => NO_IMAGE.includes(state.waiting?.reason ?? ""))
      .map(({ image }) => image),
  );
  return [...new Set(images)].map(
    (image) => `No node can get the image ${image}: is the tag right, and was it loaded or pushed?`,
  );
}

/** What may still mend itself, for whoever looks: crashes and pods that find no node. */
export function troubles(pods: readonly PodFacts[]): string[] {
  return pods.flatMap(({ metadata, status }) => [
    ...(status.containerStatuses ?? [])
      .filter(({ state }) => state.waiting?.message !== undefined)
      .map(({ state }) => `${metadata.name}: ${state.waiting?.reason}: ${state.waiting?.message}`),
    ...(status.conditions ?? [])
      .filter(({ type, status: is, message }) => type === "PodScheduled" && is === "False" && message !== undefined)
      .map(({ message }) => `${metadata.name} finds no node: ${message}`),
  ]);
}
