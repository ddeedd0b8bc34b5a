/**
 * What happens in the demo's own shop while one watches: a version that fails a fifth of its calls, and after a while the TrafficPolicy
 * that makes it good. All of it is edits of the copied manifests, as a user would make them. Knows no mesh and no screen.
 */
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Held back until its time has come. */
const POLICY_FILE = 'reviews-policy.yaml';
const FLAKY_FILE = 'reviews.yaml';
const FAIL_PERCENT = 20;
/** When the policy comes, in the middle of a short demo and never later than this. */
const LATEST_MS = 15_000;
/** A change is in force everywhere by then, and what was under way is over. */
const IN_FORCE_MS = 1500;

export const PRODUCT_PATHS: readonly string[] = ['/products/1', '/products/2', '/products/3'];
/** A page without reviews is a page: so the load sees no failure, and the edge to reviews shows them all. */
export const SCENE_PATHS: readonly string[] = PRODUCT_PATHS.map((page) => `${page}?optional=reviews`);

export interface Scene {
  /** The folder to run. */
  readonly folder: string;
  /** Who fails, as hops call it. */
  readonly flaky: string;
  /** Said once the load runs. */
  readonly opening: string;
  /** After the load has run for so long, in milliseconds, `apply` is due, and what it does is judged from `judgedMs` on. */
  readonly dueMs: number;
  readonly judgedMs: number;
  /** Puts the policy in force; what is said of it. */
  apply(): string;
}

/**
 * A copy of the shop to edit while the demo runs, with the scene set.
 * @param durationMs of the demo; null: until it is stopped
 */
export function setScene(shop: string, stateFolder: string, durationMs: number | null): Scene {
  const folder = path.join(stateFolder, 'demo', 'shop');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  cpSync(shop, folder, { recursive: true, filter: (source) => path.basename(source) !== POLICY_FILE });
  const flaky = path.join(folder, FLAKY_FILE);
  const calm = readFileSync(flaky, 'utf8');
  writeFileSync(flaky, calm.replace(/(name: FAIL_PERCENT\n\s+value: )'0'/, `$1'${FAIL_PERCENT}'`));
  const dueMs = Math.min(LATEST_MS, durationMs === null ? LATEST_MS : durationMs / 2);
  return {
    folder,
    flaky: 'reviews-v2',
    opening: `reviews-v2 answers 503 to ${FAIL_PERCENT} % of its calls, on purpose: see frontend -> reviews-v2`,
    dueMs,
    judgedMs: dueMs + IN_FORCE_MS,
    apply: () => {
      copyFileSync(path.join(shop, POLICY_FILE), path.join(folder, POLICY_FILE));
      const applied = `applied ${path.join(folder, POLICY_FILE)}: a TrafficPolicy that tries failed calls to reviews again`;
      return `${applied}; why that helps: npm run tulle -- explain GET http://reviews.shop:8080/reviews/1 -f ${folder} --from shop`;
    },
  };
}
