/**
 * Address ranges as iptables writes them, so that rules that were set can be compared with rules that are found.
 * Knows no rule.
 */
export interface IpRange {
  readonly family: 4 | 6;
  /** `10.0.0.0/8`: host bits cleared, IPv6 in its shortest form. */
  readonly text: string;
}

/** The range, or null when `text` is none. A plain address is a range of one. */
export function parseRange(text: string): IpRange | null {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const family = address.includes(':') ? 6 : 4;
  const width = family === 4 ? 32 : 128;
  const bits = slash < 0 ? String(width) : text.slice(slash + 1);
  const bytes = family === 4 ? bytesOfIpv4(address) : bytesOfIpv6(address);
  if (bytes === null || !/^\d{1,3}$/.test(bits) || Number(bits) > width) return null;
  clearHostBits(bytes, Number(bits));
  return { family, text: `${family === 4 ? bytes.join('.') : textOfIpv6(bytes)}/${Number(bits)}` };
}

function bytesOfIpv4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) <= 255)) return null;
  return parts.map(Number);
}

/** By way of the URL parser, which knows every spelling of RFC 4291. */
function bytesOfIpv6(text: string): number[] | null {
  const url = /^[\da-fA-F:.]+$/.test(text) ? URL.parse(`http://[${text}]`) : null;
  if (url === null) return null;
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

function textOfIpv6(bytes: readonly number[]): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function clearHostBits(bytes: number[], bits: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(8, Math.max(0, bits - 8 * i));
    bytes[i] = (bytes[i] ?? 0) & (0xff << (8 - kept)) & 0xff;
  }
}
