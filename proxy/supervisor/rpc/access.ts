/**
 * How the sidecar reaches its control plane: TLS with the mesh's roots, and the workload's token on each call.
 * Both files are read again at each connect, for both are rotated under us. Used for ADS and for certificates.
 */
import { isIP } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { Origination } from '../../net/origination.ts';

/** Where the control plane is and how a caller proves itself. */
export interface ControlPlaneAddress {
  readonly address: string;
  readonly port: number;
  /** Name, or address, that its certificate must carry. */
  readonly serverName: string;
  readonly caFile: string;
  readonly tokenFile: string;
}

/** What one connection is made of. */
export interface Access {
  readonly address: string;
  readonly port: number;
  readonly authority: string;
  readonly token: string;
  readonly tls: Origination;
}

export type ReadFile = (path: string) => Promise<string>;

/** One line that a header field can carry. */
const TOKEN = /^[!-~]+$/;

/** Rejects when a file cannot be read, or holds no token. */
export async function readAccess(
  { address, port, serverName, caFile, tokenFile }: ControlPlaneAddress,
  readFile: ReadFile,
  clock: Clock,
): Promise<Access> {
  const [caPem, said] = await Promise.all([readFile(caFile), readFile(tokenFile)]);
  const token = said.trim();
  if (!TOKEN.test(token)) throw new Error(`${tokenFile} holds no token: it should be one line without blanks`);
  const tls = new Origination(
    {
      // SNI takes no addresses (RFC 6066 section 3).
      sni: isIP(serverName) === 0 ? serverName : '',
      verify: true,
      caPem,
      caFile: null,
      names: [serverName],
      certificate: null,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      alpn: ['h2'],
    },
    clock,
  );
  const authority = isIP(serverName) === 6 ? `[${serverName}]` : serverName;
  return { address, port, authority, token, tls };
}
