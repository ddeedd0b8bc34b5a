/**
 * An authority and one leaf for the peers' mutual TLS, of the kind that the mesh uses: ECDSA P-256.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificates } from './scenario.ts';
import { needTool } from './tools.ts';

export function makeCertificates(folder: string): Certificates {
  const openssl = needTool('openssl');
  const run = (...args: string[]): unknown => execFileSync(openssl, args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  writeFileSync(join(folder, 'leaf.ext'), 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n');
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=bench');
  run('req', ...key, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=localhost');
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'leaf.ext', '-days', '1'];
  run('x509', '-req', '-in', 'leaf.csr', ...by, '-out', 'leaf.pem');
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('both.pem'), readFileSync(file('leaf.pem'), 'utf8') + readFileSync(file('leaf.key'), 'utf8'));
  return { ca: file('ca.pem'), cert: file('leaf.pem'), key: file('leaf.key'), both: file('both.pem') };
}
