/** Declared before detected: what a port is by `appProtocol`, by its name, by its number, in this order; and that docs/protocols.md says the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { protocolOf } from '../../../control-plane/compile/protocols.ts';

const DOC = readFileSync(join(import.meta.dirname, '../../../docs/protocols.md'), 'utf8');

const of = (appProtocol: string, name: string, port: number): string => protocolOf({ appProtocol, name, port });

t.test('appProtocol goes before the name, the name before the number, and nothing is detected in vain', async (t) => {
  t.equal(of('http', 'redis', 6379), 'http');
  t.equal(of('', 'http-cache', 6379), 'http', 'a name is looked at up to its first dash');
  t.equal(of('HTTPS', '', 80), 'tls', 'words have no case');
  t.equal(of('example.com/own', 'grpc', 80), 'grpc', 'a word that is not known says nothing');
  t.equal(of('', 'primary', 5432), 'tcp', 'the number that PostgreSQL is known by');
  t.equal(of('', '', 8080), 'unknown');
  t.equal(of('', 'https', 443), 'tls');
});

t.test('every word and number of the documentation means what it says there', async (t) => {
  const expected = {
    'HTTP/1.1': ['http'],
    'HTTP/2': ['http2', 'grpc'],
    'TLS of the application': ['tls'],
    'opaque bytes': ['tcp'],
  };
  for (const [declared, protocols] of Object.entries(expected)) {
    const row = DOC.split('\n').find((line) => line.startsWith(`| ${declared} |`)) ?? '';
    const words = Array.from(
      row.slice(row.lastIndexOf('|', row.length - 2)).matchAll(/`(.+?)`/g),
      ([, word = '']) => word,
    );
    t.ok(words.length > 0, declared);
    for (const word of words) t.ok(protocols.includes(of(word, '', 8080)), word);
  }
  const numbers = /Opaque by number alone: ([\d, ]+)\./.exec(DOC)?.[1]?.split(', ').map(Number) ?? [];
  t.equal(numbers.length, 23);
  const opaque = Array.from({ length: 65_535 }, (_, i) => i + 1).filter((port) => of('', '', port) === 'tcp');
  t.same(numbers, opaque);
});
