/**
 * Fields of a TrafficPolicy as a table, from the definition in `crds`, and which of them are in force.
 */
import { fieldsOf, kindOf } from './definition.ts';

/** Accepted and checked, but without effect in this version. Below such a field nothing is in force either. */
export const NOT_IN_FORCE = ['healthCheck'];

export function trafficPolicyFields(): string[][] {
  const rows = fieldsOf('trafficpolicies.yaml').map(([path, schema]) => {
    const isLater = NOT_IN_FORCE.some(
      (later) => path === later || path.startsWith(`${later}.`) || path.startsWith(`${later}[`),
    );
    return [`\`${path}\``, kindOf(schema), isLater ? 'not yet' : 'yes', schema.description ?? ''];
  });
  return [['field of `spec`', 'value', 'in force', 'meaning'], ...rows];
}
