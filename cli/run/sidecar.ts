/**
 * How a sidecar is started.
 */
import path from 'node:path';
import { formatDuration } from '#base/duration.ts';
import { flagWords } from '../flags.ts';
import type { RunContext } from './context.ts';
import type { Command } from './kept-process.ts';
import type { ReplicaNetwork } from './network.ts';
import { writeWhole } from './object-folder.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import { SIDECAR_ENV } from '../programs.ts';

/** Where the token of a replica lies while it runs. Names of pods may be the same in two namespaces. */
export function tokenFile(plan: ReplicaPlan, context: RunContext): string {
  return path.join(context.tokenFolder, `${plan.namespace}.${plan.name}`);
}

/** The command of the sidecar beside `plan`; its token is written to the state folder, readable by it alone. */
export function sidecarCommand(plan: ReplicaPlan, network: ReplicaNetwork, context: RunContext): Command {
  const { settings, programs, controlPlane } = context;
  const token = tokenFile(plan, context);
  writeWhole(
    token,
    controlPlane.issueToken({ namespace: plan.namespace, serviceAccount: plan.serviceAccount, pod: plan.name }),
  );
  network.lendToSidecar(token);
  return {
    ...programs.sidecar,
    args: [
      ...programs.sidecar.args,
      ...flagWords({
        'control-plane': controlPlane.xdsAddress,
        'ca-file': controlPlane.caFile,
        'token-file': token,
        'trust-domain': settings.trustDomain,
        'pod-name': plan.name,
        namespace: plan.namespace,
        'service-account': plan.serviceAccount,
        owner: plan.deployment,
        'leaf-ttl': formatDuration(settings.leafTtlMs),
        ...network.sidecarFlags,
      }),
    ],
    env: { ...programs.env, ...SIDECAR_ENV },
  };
}
