/** Runs a part's program from its upstream image instead of from the machine: same arguments, same paths, host network. */
import type { ProcessSpec } from "./process.ts";

type Options = {
  readonly image: string;
  readonly container: string;
  readonly folders: readonly string[];
  readonly user: number;
};

/** `spec` so that its command runs in the image; signals go to the container, as `docker run` does not pass SIGKILL on. */
export function inContainer(spec: ProcessSpec, { image, container, folders, user }: Options): ProcessSpec {
  const mounts = folders.flatMap((folder) => ["-v", `${folder}:${folder}`]);
  const env = Object.entries(spec.env).flatMap(([name, value]) => (name === "PATH" ? [] : ["-e", `${name}=${value}`]));
  const run = ["run", "--rm", "--name", container, "--network", "host", "-u", String(user), ...mounts, ...env];
  return {
    ...spec,
    command: "docker",
    args: [...run, "--entrypoint", spec.command, image, ...spec.args],
    signalCommand: (signal) => ["docker", "kill", "--signal", signal, container],
  };
}
