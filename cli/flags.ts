/** Flags of our own programs as words of a command line. */
export type Flags = Readonly<Record<string, string | readonly string[]>>;

/** `--name value` for each flag; for each value of one that may be repeated. */
export function flagWords(flags: Flags): readonly string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).flatMap((one) => [`--${name}`, one]),
  );
}
