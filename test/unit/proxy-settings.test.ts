/**
 * Settings of the sidecar: where they come from, which wins, and every mistake told at once.
 */
import t from 'tap';
import { formatProblem } from '#base/problems.ts';
import { readSettings, settingsHelp, type Settings } from '../../proxy/settings.ts';

const REQUIRED = ['--ca-file', 'ca', '--token-file=token', '--pod-name', 'web-1', '--namespace', 'shop'];

async function read(
  argv: readonly string[],
  env: Record<string, string> = {},
  file = '',
): Promise<Settings | readonly string[]> {
  const readFile = (path: string): Promise<string> =>
    path === 'tulle.yaml' ? Promise.resolve(file) : Promise.reject(new Error('no such file'));
  const result = await readSettings({ argv, env, readFile });
  return result.ok ? result.value : result.error.list.map(formatProblem);
}

t.test('flags win over the environment, the environment over the file', async (t) => {
  const settings = await read(
    [...REQUIRED, '--config', 'tulle.yaml', '--log-level=debug', '--pod-address', '10.0.0.1', '--pod-address=fd00::1'],
    {
      TULLE_LOG_LEVEL: 'error',
      TULLE_APP_IDLE: '2s',
      TULLE_SERVICE_HOST: '10.96.0.1',
      TULLE_PORT_80_TCP: 'x',
      PATH: 'x',
    },
    'app-idle: 1s\nmax-fields: 50\nlog-level: warn\n',
  );
  t.match(settings, {
    controlPlane: { address: '127.0.0.1', port: 15_012, serverName: '127.0.0.1', caFile: 'ca', tokenFile: 'token' },
    logLevel: 'debug',
    worker: {
      captureMode: 'redirect',
      outbound: { address: '127.0.0.1', port: 15_001 },
      podAddresses: ['10.0.0.1', 'fd00::1'],
      appAddress: null,
      appIdleMs: 2000,
      limits: { maxFields: 50 },
      pod: { namespace: 'shop', name: 'web-1', owner: 'web-1', serviceAccount: 'default' },
    },
  });
});

t.test('explicit capture has a port for each destination and expects the application on loopback', async (t) => {
  const settings = await read([
    ...REQUIRED,
    '--capture=explicit',
    '--inbound=none',
    '--http-proxy=127.0.0.2:3128',
    '--outbound-listen=a.shop:80=127.0.0.1:20001',
    '--outbound-listen=b.shop:80=[::1]:20002',
  ]);
  t.match(settings, {
    worker: {
      captureMode: 'explicit',
      inbound: null,
      outbound: { address: '127.0.0.2', port: 3128 },
      appAddress: '127.0.0.1',
      explicitListens: [
        { name: 'a.shop:80', address: '127.0.0.1', port: 20_001 },
        { name: 'b.shop:80', address: '::1', port: 20_002 },
      ],
    },
  });
});

t.test('all mistakes are told at once, with what would be right', async (t) => {
  t.same(
    await read(
      [
        '--concurency',
        '3',
        '--concurrency',
        '0',
        '--log-level',
        'loud',
        '--log-level=info',
        'stray',
        '--http-proxy',
        '127.0.0.1:1',
        '--drain-deadline',
      ],
      { TULLE_LEAF_TTL: '1x', TULLE_POD_NAME: 'Web', TULLE_CONFIG: 'tulle.yaml' },
      'max-fields: 1\nadmin-address: localhost:15000\npod-address: [10.0.0.1, x]\nlog: {}\ntrust-domain: [a, b]\n',
    ),
    [
      '--concurency: there is no such setting (did you mean concurrency)',
      '--log-level: is given twice',
      'stray: there is no such setting (see --help)',
      '--drain-deadline: needs a value',
      'tulle.yaml: log: there is no such setting (did you mean log-level)',
      'tulle.yaml: trust-domain: must be one text or number',
      '--ca-file: must be given (PEM roots that sign the control plane)',
      '--token-file: must be given (bearer token of this workload; read again at each connect)',
      'TULLE_POD_NAME: must be a Kubernetes name: lower-case letters, digits, dashes and dots (not "Web")',
      '--namespace: must be given (namespace of this pod)',
      'tulle.yaml: pod-address: must be an IP address (not "x")',
      'tulle.yaml: admin-address: must be an IP address of this machine and a port (not "localhost:15000")',
      '--log-level: must be one of debug, info, warn, error (not "loud")',
      '--concurrency: must be auto, or a whole number from 1 to 64 (not "0")',
      'tulle.yaml: max-fields: must be a whole number from 10 to 10000 (not "1")',
      'TULLE_LEAF_TTL: is no duration; write a duration such as 500ms, 10s or 1h30m (not "1x")',
      '--http-proxy: has an effect only with --capture explicit',
    ],
  );
  t.same(await read([...REQUIRED, '--config=missing.yaml']), ['--config: missing.yaml cannot be read: no such file']);
});

t.test('the help text names every setting once', async (t) => {
  const names = settingsHelp().match(/--[a-z-]+(?= [A-Z])/g) ?? [];
  t.ok(names.length > 30 && new Set(names).size === names.length);
});
