/**
 * Log lines of the processes themselves: one JSON object or one plain line each, on standard error.
 * Knows no secret: what must not be logged is never handed to it. Control characters are escaped, so that no input can forge a line.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with fields on every line. */
  with(fields: LogFields): Logger;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  readonly write: (line: string) => void;
  /** Wall time in milliseconds. */
  readonly wall: () => number;
}

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** JSON leaves DEL, the C1 controls and the Unicode line ends as they are; a terminal or a reader of lines would obey them. */
export function escapeControls(json: string): string {
  return json.replaceAll(/[\u007f-\u009f\u2028\u2029]/g, (char) => {
    return String.raw`\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function escapeText(value: string): string {
  return /[\s"=\\\p{Cc}]/u.test(value) || value === '' ? escapeControls(JSON.stringify(value)) : value;
}

function formatText(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.toUpperCase().padEnd(5)} ${message.replaceAll(/\p{Cc}/gu, ' ')}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${escapeText(Array.isArray(value) ? value.join(',') : String(value))}`;
  }
  return line;
}

export function createLogger(options: LogOptions, bound: LogFields = {}): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const emit = (level: LogLevel, message: string, fields?: LogFields): void => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    const time = new Date(options.wall()).toISOString();
    const all = fields === undefined ? bound : { ...bound, ...fields };
    const line =
      options.format === 'json'
        ? escapeControls(JSON.stringify({ time, level, message, ...all }))
        : formatText(time, level, message, all);
    options.write(`${line}\n`);
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** Says nothing; for tests and tools. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLogger,
};
