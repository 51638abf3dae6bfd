import process from "node:process";

/** Runs something with other variables in this process's environment: `undefined` for those that it lacks. */
export async function withEnvironment<T>(
  variables: Readonly<Record<string, string | undefined>>,
  act: () => T,
): Promise<Awaited<T>> {
  const names = Object.keys(variables);
  const before = names.map((name) => [name, process.env[name]] as const);
  set(Object.entries(variables));
  try {
    return await act();
  } finally {
    set(before);
  }
}

function set(variables: readonly (readonly [name: string, value: string | undefined])[]): void {
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}
