// The real server as a child process, for tests that come from outside: on a free port, with data of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The built program. */
export const BINARY = fileURLToPath(new URL('../../bin/sibyl', import.meta.url));
const START_DEADLINE = 60_000;

/** A server of its own, which can be stopped and started again at the same address. */
export class Server {
  #data;
  #flags;
  #child = null;
  #ended = null;

  /** Starts one with an empty database. */
  static async start(...flags) {
    const server = new Server();
    server.#data = await mkdtemp(path.join(tmpdir(), 'sibyl-test-'));
    server.#flags = flags;
    await server.up();
    return server;
  }

  async up() {
    const address = this.url ? new URL(this.url).host : '127.0.0.1:0';
    const arguments_ = ['serve', '--address', address, '--data', this.#data, '--log-format', 'json', ...this.#flags];
    const child = (this.#child = spawn(BINARY, arguments_, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.#ended = new Promise((resolve) => child.once('exit', resolve));
    const log = [];
    this.url = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the server did not start:\n${log.join('\n')}`)), START_DEADLINE);
      child.once('error', reject);
      child.once('exit', (status) => reject(new Error(`the server ended with ${status}:\n${log.join('\n')}`)));
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          log.push(line);
          if (line.includes('"msg":"listening"')) {
            clearTimeout(timer);
            resolve(JSON.parse(line).url);
          }
        });
      }
    });
  }

  /** Asks over HTTP, and returns the answer's JSON. */
  async ask(query, variables) {
    const answer = await fetch(this.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    return answer.json();
  }

  get endpoint() {
    return `${this.url}/graphql`;
  }

  /** Stops it as an operator does, and waits for its end. */
  async down() {
    this.#child.kill('SIGTERM');
    assert.equal(await this.#ended, 0, 'the server ended with an error');
  }

  async close() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await this.#ended;
    }
    await rm(this.#data, { recursive: true, force: true });
  }
}
