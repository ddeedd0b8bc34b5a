/**
 * A DNS server of a test: UDP on a loopback address, A and AAAA with a TTL, and whatever else a server may do to who asks.
 * Test-only.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface DnsRecord {
  readonly v4?: readonly string[];
  readonly v6?: readonly string[];
  readonly ttl: number;
  /** `silent`: no answer at all; `servfail`: code 2. Of one family only when it is named. */
  readonly broken?: 'servfail' | 'silent' | 'servfail-v6' | 'silent-v6';
}

const TYPE_AAAA = 28;
const SERVFAIL = 2;
const NXDOMAIN = 3;

export class DnsServer {
  /** By name in lower case; changed at will. */
  readonly records = new Map<string, DnsRecord>();
  /** `A api.example`, in the order asked. */
  readonly questions: string[] = [];
  #socket: Socket = createSocket('udp4');
  #port = 0;

  static async start(records: Readonly<Record<string, DnsRecord>>): Promise<DnsServer> {
    const server = new DnsServer();
    for (const [name, record] of Object.entries(records)) server.records.set(name, record);
    await server.open();
    return server;
  }

  /** For `dns.setServers`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    this.#socket = createSocket('udp4');
    this.#socket.on('message', (message, from) => {
      const answer = this.#answer(message);
      if (answer !== null) this.#socket.send(answer, from.port, from.address);
    });
    this.#socket.bind(this.#port, '127.0.0.1');
    await once(this.#socket, 'listening');
    this.#port = this.#socket.address().port;
  }

  close(): void {
    this.#socket.close();
  }

  /** RFC 1035 section 4; one question, no compression but of the name that was asked. */
  #answer(query: Buffer): Buffer | null {
    const { name, type, end } = question(query);
    const isV6 = type === TYPE_AAAA;
    this.questions.push(`${isV6 ? 'AAAA' : 'A'} ${name}`);
    const record = this.records.get(name);
    const broken = record?.broken ?? '';
    if (broken === 'silent' || (broken === 'silent-v6' && isV6)) return null;
    const fails = broken === 'servfail' || (broken === 'servfail-v6' && isV6);
    const addresses = record === undefined || fails ? [] : ((isV6 ? record.v6 : record.v4) ?? []);
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 + (fails ? SERVFAIL : record === undefined ? NXDOMAIN : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses.length, 6);
    const answers = addresses.map((address) => resourceRecord(type, record?.ttl ?? 0, addressBytes(address)));
    return Buffer.concat([head, query.subarray(12, end), ...answers]);
  }
}

function question(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function resourceRecord(type: number, ttl: number, data: Buffer): Buffer {
  const record = Buffer.alloc(12);
  // The name of the question, at its place.
  record.writeUInt16BE(0xc0_0c, 0);
  record.writeUInt16BE(type, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(ttl, 6);
  record.writeUInt16BE(data.length, 10);
  return Buffer.concat([record, data]);
}

const words = (side: string): number[] => (side === '' ? [] : side.split(':').map((word) => Number.parseInt(word, 16)));

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [left = '', right = ''] = address.split('::');
  const head = words(left);
  const tail = words(right);
  const all = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
  return Buffer.from(all.flatMap((word) => [word >>> 8, word & 255]));
}
