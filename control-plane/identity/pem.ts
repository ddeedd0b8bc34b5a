/**
 * PEM (RFC 7468, strict form), one label at a time.
 * Knows nothing of what the bytes mean.
 */
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';

const LINE = 64;
const BASE64_LINE = /^[A-Za-z0-9+/]+={0,2}$/;

export function encodePem(label: string, der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64');
  let lines = '';
  for (let at = 0; at < text.length; at += LINE) lines += `${text.slice(at, at + LINE)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

/**
 * The blocks of `text`, all of which must have `label`. Between them only white space may stand:
 * explanatory text and other labels are refused, so that nothing goes unread.
 */
export function decodePem(text: string, label: string): Result<readonly Buffer[], string> {
  const blocks: Buffer[] = [];
  let body: string | null = null;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '') continue;
    if (body === null) {
      if (line !== `-----BEGIN ${label}-----`) return err(`expected a PEM block "${label}"`);
      body = '';
    } else if (line === `-----END ${label}-----`) {
      const der = Buffer.from(body, 'base64');
      if (body === '' || der.toString('base64') !== body) return err('PEM block is not base64');
      blocks.push(der);
      body = null;
    } else if (BASE64_LINE.test(line)) {
      body += line;
    } else {
      return err('PEM block has a line that is not base64');
    }
  }
  if (body !== null) return err('PEM block does not end');
  return ok(blocks);
}
