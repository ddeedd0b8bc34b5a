/** Conditions on a request, as configuration. Plain data. */

export type PathMatchConfig =
  | { readonly kind: 'exact'; readonly value: string }
  /** Plain string prefix (Envoy `prefix`). */
  | { readonly kind: 'prefix'; readonly value: string }
  /** Whole segments (Envoy `path_separated_prefix`). */
  | { readonly kind: 'segments'; readonly value: string }
  /** Must match the whole path (RE2 syntax). */
  | { readonly kind: 'regex'; readonly value: string };

export type StringMatchConfig =
  | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly value: string }
  | { readonly kind: 'present'; readonly present: boolean };

export interface ValueMatchConfig {
  /** Lower-case for headers; `:method` matches the method. */
  readonly name: string;
  readonly match: StringMatchConfig;
  readonly invert: boolean;
}
