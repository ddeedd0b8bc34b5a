/**
 * Where the demo shows itself: redrawn in place on a terminal, as lines anywhere else. Plain ANSI (ECMA-48), no dependency.
 */
import type { Report } from '../run/report.ts';
import { drawLoad, drawPicture, type Picture } from './picture.ts';

export interface Screen extends Report {
  /** Shows the picture; how often it is worth calling this is `periodMs`. */
  show(picture: Picture): void;
  readonly periodMs: number;
  /** Leaves the picture, and says these lines below it. */
  end(lines: readonly string[]): void;
}

export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Of the terminal. */
  readonly columns: number;
}

const LINES_PERIOD_MS = 2000;
const TERMINAL_PERIOD_MS = 1000;
const NEWS_KEPT = 8;

const HOME = '\u001B[H';
const CLEAR = '\u001B[2J';
const CLEAR_LINE = '\u001B[K';
const CLEAR_BELOW = '\u001B[J';
const HIDE_CURSOR = '\u001B[?25l';
const SHOW_CURSOR = '\u001B[?25h';
const BOLD = '\u001B[1m';
const YELLOW = '\u001B[33m';
const PLAIN = '\u001B[0m';

export function openScreen(output: Output): Screen {
  return output.isTerminal ? terminalScreen(output) : lineScreen(output);
}

function lineScreen(output: Output): Screen {
  const say = (line: string): void => output.write(`${line}\n`);
  return {
    periodMs: LINES_PERIOD_MS,
    news: say,
    problem: (line) => say(`! ${line}`),
    show(picture) {
      say(drawLoad(picture));
      for (const line of drawPicture(picture).slice(3)) say(`  ${line}`);
    },
    end: (lines) => lines.forEach(say),
  };
}

function terminalScreen(output: Output): Screen {
  const news: string[] = [];
  let picture: Picture | null = null;
  const draw = (): void => {
    if (picture === null) return;
    const [title = '', ...rest] = drawPicture(picture);
    const lines = [`${BOLD}${clip(title, output)}${PLAIN}`, ...rest.map((line) => clip(line, output)), '', ...news];
    output.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`);
  };
  const add = (line: string, colour: string): void => {
    if (picture === null) {
      output.write(`${line}\n`);
      return;
    }
    news.push(`${colour}${clip(line, output)}${PLAIN}`);
    if (news.length > NEWS_KEPT) news.shift();
    draw();
  };
  return {
    periodMs: TERMINAL_PERIOD_MS,
    news: (line) => add(line, ''),
    problem: (line) => add(line, YELLOW),
    show(next) {
      if (picture === null) output.write(`${HIDE_CURSOR}${CLEAR}`);
      picture = next;
      draw();
    },
    end(lines) {
      if (picture !== null) output.write(`${SHOW_CURSOR}\n`);
      picture = null;
      for (const line of lines) output.write(`${line}\n`);
    },
  };
}

/** A line that wraps would move everything below it. */
function clip(line: string, { columns }: Output): string {
  return line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line;
}
