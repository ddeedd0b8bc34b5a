/**
 * The mesh tables of the Gateway API conformance suite as data: which manifest, which requests, what is expected of each.
 * Reads `test/corpora/gateway-api`; decides nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const CORPUS = join(import.meta.dirname, '..', 'corpora', 'gateway-api');

export interface Expected {
  readonly headers: Readonly<Record<string, string>>;
  readonly absent: readonly string[];
  /** That the backend sees; absent: not asked. */
  readonly path?: string;
}

export interface Case {
  readonly request: {
    readonly host: string;
    /** Where the connection goes, when it is not where `host` says. */
    readonly to?: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  };
  /** Namespace of the client. */
  readonly from: string;
  readonly status: number;
  readonly backend?: string;
  readonly sent: Expected;
  readonly answered: Expected;
  /** Parts of `Location`; an empty port may be that of the scheme. */
  readonly redirect?: {
    readonly scheme: string;
    readonly host: string;
    readonly port: string;
    readonly path: string;
  };
}

export interface Table {
  /** As the suite calls it. */
  readonly name: string;
  /** Empty: none besides that of the mesh. */
  readonly manifest: string;
  /** Share of each backend, by name. */
  readonly weights: Readonly<Record<string, number>>;
  readonly cases: readonly Case[];
}

function read(name: string): string {
  return readFileSync(join(CORPUS, name), 'utf8');
}

export const TABLES = JSON.parse(read('cases.json')) as readonly Table[];

/** The mesh of the suite, and what the table adds to it. */
export function manifestsOf({ manifest }: Pick<Table, 'manifest'>): string {
  return manifest === '' ? read('mesh.yaml') : `${read('mesh.yaml')}\n---\n${read(manifest)}`;
}
