/** Configuration from environment variables: one table for each service, read once, all problems reported together. */

export type Setting<T> = {
  /** Name of the environment variable; starts with `MESH_`. */
  readonly env: string;
  /** One sentence, with the unit. */
  readonly help: string;
  /** Used when the variable is absent or empty; without it the variable is required. */
  readonly fallback?: string;
  /** Never printed. */
  readonly secret?: boolean;
  /** @throws Error whose message completes "must be …" */
  readonly parse: (text: string) => T;
};

// biome-ignore lint/suspicious/noExplicitAny: a table holds settings of all types; `Values` infers each.
export type Settings = Readonly<Record<string, Setting<any>>>;
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** The environment does not fit the table; `message` has a line for each problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** @throws ConfigError with all problems, among them `MESH_` variables that no setting reads */
export function loadConfig<S extends Settings>(settings: S, env: NodeJS.ProcessEnv): Values<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings)) {
    try {
      values[key] = read(setting, env);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : `${setting.env} is not valid`);
    }
  }
  const known = new Set(Object.values(settings).map(({ env: name }) => name));
  for (const name of Object.keys(env).sort())
    if (name.startsWith("MESH_") && !known.has(name)) problems.push(`${name} is not a setting of this process`);
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  return values as Values<S>;
}

function read<T>(setting: Setting<T>, env: NodeJS.ProcessEnv): T {
  const value = env[setting.env] || setting.fallback;
  if (value === undefined) throw new Error(`${setting.env} is required: ${setting.help}`);
  try {
    return setting.parse(value);
  } catch (error) {
    const shown = setting.secret ? "its value" : JSON.stringify(value);
    const problem = error instanceof Error ? error.message : "is not valid";
    throw new Error(`${setting.env}: ${shown} ${problem}`, { cause: error });
  }
}

type Extra = { readonly fallback?: string; readonly secret?: boolean };

export function text(env: string, help: string, extra: Extra = {}): Setting<string> {
  return { env, help, ...extra, parse: (value) => value };
}

export function integer(env: string, help: string, range: Extra & { min: number; max: number }): Setting<number> {
  const { min, max, ...extra } = range;
  return {
    env,
    help: `${help} (${min} to ${max})`,
    ...extra,
    parse(value) {
      const number = Number(value);
      if (!/^-?\d+$/.test(value) || number < min || number > max)
        throw new Error(`must be a whole number from ${min} to ${max}`);
      return number;
    },
  };
}

export function oneOf<T extends string>(env: string, help: string, choices: readonly T[], fallback: T): Setting<T> {
  return {
    env,
    help: `${help} (${choices.join(", ")})`,
    fallback,
    parse(value) {
      const found = choices.find((choice) => choice === value);
      if (found === undefined) throw new Error(`must be one of ${choices.join(", ")}`);
      return found;
    },
  };
}

/** A list of `host:port` or URLs, separated by commas. */
export function list(env: string, help: string, extra: Extra = {}): Setting<readonly string[]> {
  return {
    env,
    help: `${help}, separated by commas`,
    ...extra,
    parse(value) {
      const items = value.split(",").map((item) => item.trim());
      if (items.some((item) => item === "")) throw new Error("must be a list separated by commas without empty items");
      return items;
    },
  };
}

/** A URL with one of the protocols, such as `postgres:`; an empty fallback means "none" and gives "". */
export function url(env: string, help: string, protocols: readonly string[], extra: Extra = {}): Setting<string> {
  return {
    env,
    help,
    ...extra,
    parse(value) {
      if (value === "") return value;
      if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
        throw new Error(`must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`);
      return value;
    },
  };
}

/** A markdown table of the settings. */
export function renderSettings(settings: Settings): string {
  const rows = Object.values(settings).map(({ env, help, fallback, secret }) => {
    const shown = fallback === undefined ? "required" : fallback === "" ? "empty" : `\`${fallback}\``;
    return `| \`${env}\` | ${shown} | ${help}${secret ? "; secret" : ""} |`;
  });
  return ["| variable | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}
