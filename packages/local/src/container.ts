/** Runs a part's program from its upstream image instead of from the machine: same arguments, same paths, host network. */
import type { ProcessSpec } from "./process.ts";
import type { Source } from "./sources.ts";

type Options = {
  readonly source: Source;
  /** What the program reads and writes. */
  readonly folders: readonly string[];
  /** Whom it runs as in the container; us, if not given. */
  readonly user?: number | undefined;
};

/** `spec` as it is, or in a container when an image is its source; signals go there, as `docker run` does not pass SIGKILL on. */
export function fromSource(spec: ProcessSpec, { source, folders, user }: Options): ProcessSpec {
  if (source.kind !== "image") return spec;
  const container = `ordermesh-${spec.name}-${process.pid}`;
  const mounts = folders.flatMap((folder) => ["-v", `${folder}:${folder}`]);
  const env = Object.entries(spec.env).flatMap(([name, value]) => (name === "PATH" ? [] : ["-e", `${name}=${value}`]));
  const identity = ["-u", String(user ?? process.getuid?.() ?? 0)];
  const run = ["run", "--rm", "--name", container, "--network", "host", ...identity, ...mounts, ...env];
  return {
    ...spec,
    command: "docker",
    args: [...run, "--entrypoint", spec.command, source.image, ...spec.args],
    signalCommand: (signal) => ["docker", "kill", "--signal", signal, container],
  };
}
