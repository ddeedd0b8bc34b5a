/**
 * nginx: as the application, and as a contender with what a mesh has too: upstream keep-alive, one worker, no access log.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start, untilAnswered, type Running } from './processes.ts';
import type { Place, RunningPath, Scenario } from './scenario.ts';
import { needTool } from './tools.ts';

const LOCAL = '127.0.0.1';

/** One process without a master, in the foreground. */
async function run(folder: string, http: string): Promise<Running> {
  mkdirSync(folder, { recursive: true });
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `worker_processes 1;
daemon off;
master_process off;
pid ${join(folder, 'nginx.pid')};
error_log ${join(folder, 'error.log')} crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  ${paths.join('\n  ')}
  ${http}
}
`,
  );
  return start([needTool('nginx'), '-p', folder, '-c', join(folder, 'nginx.conf')], join(folder, 'output.log'));
}

/** The application: answers everything with one byte. */
export function startNginxApplication(folder: string, address: string, port: number, http2: boolean): Promise<Running> {
  const listen = `listen ${address}:${port} reuseport${http2 ? ' http2' : ''};`;
  return run(folder, `server { ${listen} location / { default_type text/plain; return 200 'x'; } }`);
}

function server(listen: string, upstream: string, scheme: 'http' | 'https', more: string): string {
  return `upstream next { server ${upstream}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen ${listen};
    location / {
      proxy_pass ${scheme}://next;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }
    ${more}
  }`;
}

export async function startNginx(scenario: Scenario, place: Place): Promise<RunningPath> {
  const { application, certificates, folder } = place;
  const port = await freePort(LOCAL);
  const app = `${application.address}:${application.port}`;
  const started: Running[] = [];
  if (scenario.hops === 1) {
    started.push(await run(join(folder, 'a'), server(`${LOCAL}:${port}`, app, 'http', '')));
  } else {
    const between = await freePort(LOCAL);
    const own = `certificate ${certificates.cert};`;
    const client = `proxy_ssl_${own} proxy_ssl_certificate_key ${certificates.key}; proxy_ssl_protocols TLSv1.3;
    proxy_ssl_trusted_certificate ${certificates.ca}; proxy_ssl_verify on; proxy_ssl_name localhost;`;
    const terminate = `ssl_${own} ssl_certificate_key ${certificates.key}; ssl_protocols TLSv1.3;
    ssl_client_certificate ${certificates.ca}; ssl_verify_client on;`;
    started.push(
      await run(join(folder, 'a'), server(`${LOCAL}:${port}`, `${LOCAL}:${between}`, 'https', client)),
      await run(join(folder, 'b'), server(`${LOCAL}:${between} ssl`, app, 'http', terminate)),
    );
  }
  const target = { address: LOCAL, port, host: 'localhost' };
  await untilAnswered(target, '/', 20);
  return {
    target,
    pids: started.map(({ pid }) => pid),
    stop: async () => void (await Promise.all(started.map((s) => s.stop()))),
  };
}
