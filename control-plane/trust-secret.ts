/**
 * The trust bundle as the SDS secret `ROOTCA` (docs/wire.md).
 * Knows nothing of who asks for it.
 */
import { createHash } from 'node:crypto';
import { Secret } from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { TRUST_SECRET } from '#api/names.ts';
import type { GeneratedResource } from './generate/client.ts';

export function trustSecret(bundlePem: string): GeneratedResource {
  const message = Secret.encode(
    Secret.fromPartial({
      name: TRUST_SECRET,
      type: {
        $case: 'validationContext',
        value: { trustedCa: { specifier: { $case: 'inlineBytes', value: Buffer.from(bundlePem) } } },
      },
    }),
  ).finish();
  return {
    name: TRUST_SECRET,
    message,
    version: createHash('sha256').update(message).digest('base64url').slice(0, 16),
  };
}
