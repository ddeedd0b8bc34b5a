/**
 * Fields of a TrafficPolicy as a table, from the definition in `crds`.
 */
import { fieldsOf, kindOf } from './definition.ts';

export function trafficPolicyFields(): string[][] {
  const rows = fieldsOf('trafficpolicies.yaml').map(([path, schema]) => [
    `\`${path}\``,
    kindOf(schema),
    schema.description ?? '',
  ]);
  return [['field of `spec`', 'value', 'meaning'], ...rows];
}
