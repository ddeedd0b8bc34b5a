/**
 * What has to be closed, closed in reverse order of opening.
 * A step that fails is reported and does not keep the others from closing.
 */
export type Closer = () => void | Promise<void>;

export class Scope {
  readonly #closers: Closer[] = [];
  #closing: Promise<readonly Error[]> | null = null;

  /** Registers what undoes the step just done. After `close` has begun, the closer runs at once. */
  add(closer: Closer): void {
    if (this.#closing === null) this.#closers.push(closer);
    else void this.#run(closer, []);
  }

  /** Closes everything; the errors met on the way are returned, not thrown. Later calls get the same promise. */
  close(): Promise<readonly Error[]> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<readonly Error[]> {
    const errors: Error[] = [];
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      await this.#run(closer, errors);
    }
    return errors;
  }

  async #run(closer: Closer, errors: Error[]): Promise<void> {
    try {
      await closer();
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
