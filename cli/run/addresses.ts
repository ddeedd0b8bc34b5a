/**
 * Loopback addresses for the replicas of one mesh. Each has two: 127.66.b.n, which the mesh sees and the sidecar answers on,
 * and 127.67.b.n, where the application listens. Several meshes on one machine get different blocks `b`:
 * a block belongs to whoever holds a listening socket in it, so that the kernel frees it however its owner dies.
 */
import net from 'node:net';

export interface ReplicaAddresses {
  readonly pod: string;
  readonly app: string;
}

/** Holds a block; null when it is another's. Rejects when the machine has no such address. */
export type ClaimBlock = (block: number) => Promise<(() => void) | null>;

const BLOCKS = 256;
/** Addresses .2 to .251 are replicas'; .1 is the control plane's, .255 holds the claim. */
const FIRST = 2;
const LAST = 251;
const CLAIM_PORT = 15_012;
/** Linux has all of 127.0.0.0/8; other systems have single addresses of it. */
const NO_LOOPBACK_RANGE =
  'this machine lacks the loopback addresses 127.66.0.0 to 127.67.255.255; ' +
  'on macOS add those that are used, as in: for n in 1 2 3 255; do sudo ifconfig lo0 alias 127.66.0.$n; sudo ifconfig lo0 alias 127.67.0.$n; done';

export class AddressPool {
  readonly #claim: ClaimBlock;
  readonly #blocks: { readonly number: number; readonly release: () => void }[] = [];
  readonly #taken = new Set<string>();
  #nextBlock = 0;

  constructor(claim: ClaimBlock = claimBlock) {
    this.#claim = claim;
  }

  /** The address of the mesh's control plane. */
  async controlPlane(): Promise<string> {
    const block = this.#blocks[0]?.number ?? (await this.#addBlock());
    return `127.66.${block}.1`;
  }

  /** Free addresses, the lowest first. */
  async take(): Promise<ReplicaAddresses> {
    for (const block of this.#blocks) {
      const found = this.#free(block.number);
      if (found !== null) return found;
    }
    const found = this.#free(await this.#addBlock());
    if (found === null) throw new Error('a fresh block of addresses is full');
    return found;
  }

  release(addresses: ReplicaAddresses): void {
    this.#taken.delete(addresses.pod);
  }

  close(): void {
    for (const block of this.#blocks.splice(0)) block.release();
  }

  #free(block: number): ReplicaAddresses | null {
    for (let n = FIRST; n <= LAST; n++) {
      const pod = `127.66.${block}.${n}`;
      if (this.#taken.has(pod)) continue;
      this.#taken.add(pod);
      return { pod, app: `127.67.${block}.${n}` };
    }
    return null;
  }

  async #addBlock(): Promise<number> {
    while (this.#nextBlock < BLOCKS) {
      const number = this.#nextBlock++;
      const release = await this.#claim(number);
      if (release === null) continue;
      this.#blocks.push({ number, release });
      return number;
    }
    throw new Error('all 256 blocks of loopback addresses are in use by other meshes on this machine');
  }
}

/** Claims a block by listening in it. */
export function claimBlock(block: number): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else if (error.code === 'EADDRNOTAVAIL') reject(new Error(NO_LOOPBACK_RANGE));
      else reject(error);
    });
    server.listen(CLAIM_PORT, `127.66.${block}.255`, () => resolve(() => server.close()));
  });
}
