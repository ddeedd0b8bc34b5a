/**
 * Somebody who has done nothing: one request after the other on a connection that is kept, while others attack. Test-only.
 */
import http from 'node:http';

const PAUSE_MS = 5;
const PATIENCE_MS = 5000;

export class Bystander {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  readonly #options: http.RequestOptions;
  readonly failures: string[] = [];
  requests = 0;
  #ended = false;
  readonly #done: Promise<void>;

  constructor(host: string, port: number) {
    this.#options = { host, port, agent: this.#agent, timeout: PATIENCE_MS };
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#ended = true;
    await this.#done;
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const outcome = await this.#ask();
      this.requests++;
      if (outcome !== '200') this.failures.push(outcome);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #ask(): Promise<string> {
    return new Promise((resolve) => {
      const request = http.get(this.#options, (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
      });
      request.on('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
      request.on('error', (error) => resolve(error.message));
    });
  }
}
