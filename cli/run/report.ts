/** How the parts of a running mesh tell a person something. Knows no terminal. */

/** Where news goes: to the terminal, or to the picture that covers it. */
export interface Report {
  /** Something happened as it should. */
  news(line: string): void;
  /** Something is wrong, and the line says what. */
  problem(line: string): void;
}
