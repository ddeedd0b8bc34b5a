/** Session persistence of a rule (GEP-1619). Knows no backend. */
import { xxHash64 } from '#base/xx-hash.ts';
import type { SessionPersistence } from '../kinds/session-persistence.ts';
import type { SessionPolicy } from '../model/session.ts';

/** @param ruleName `namespace/route/rule`, from which a name is made where none is given: the same in each sidecar, another for each rule */
export function sessionOf(given: SessionPersistence | null, ruleName: string): SessionPolicy | null {
  if (given === null) return null;
  const { type, sessionName, absoluteTimeout, idleTimeout, cookieConfig } = given;
  const kind = type === 'Header' ? 'header' : 'cookie';
  const name = sessionName === '' ? `tulle-session-${hexOf(ruleName)}` : sessionName;
  return {
    kind,
    name: kind === 'header' ? name.toLowerCase() : name,
    absoluteMs: absoluteTimeout ?? 0,
    idleMs: idleTimeout ?? 0,
    permanent: cookieConfig?.lifetimeType === 'Permanent',
  };
}

function hexOf(text: string): string {
  const { hi } = xxHash64(text);
  return hi.toString(16).padStart(8, '0');
}
