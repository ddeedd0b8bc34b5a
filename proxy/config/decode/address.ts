/**
 * Tells addresses from names, without the network module that only `net/` may load.
 * Knows no port and no scope (`%eth0` is refused).
 */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

/** 4, 6, or 0 when `text` is no IP address. Leading zeros are refused: programs disagree about their base. */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return /(?:^|\.)0\d/.test(text) ? 0 : 4;
  return /^[\da-f:.]{2,45}$/i.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}
