// The real server as a child process, for the Node tests.

import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const READY_MS = 30_000;
const SECRET = 'the secret of the tests, long enough for HS256';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

function binary() {
  const file = process.env.TANDEM_BIN ?? path.join(repository, 'target/debug/tandem');
  if (!existsSync(file)) throw new Error(`${file} is not there: build it, or run \`cargo xtask test\``);
  return file;
}

/** A token that the test servers accept, valid for an hour. */
export function token(sub, ...roles) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, roles, exp })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** A test for each database, which is given what starts a server on it. */
export function onBoth(name, body) {
  for (const database of ['SQLite', 'PostgreSQL']) {
    test(`${name}, on ${database}`, { timeout: 600_000 }, (t) =>
      body(t, (settings = {}) => Tandem.start(settings, database)),
    );
  }
}

/** An empty database on the PostgreSQL of the tests. */
async function createDatabase() {
  const server = process.env.TEST_POSTGRES_URL;
  if (!server) throw new Error('TEST_POSTGRES_URL is not set: run the tests by `cargo xtask test`, which starts a PostgreSQL');
  const name = `tandem_node_${randomUUID().replaceAll('-', '')}`;
  const execute = async (statement) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await execute(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(`DROP DATABASE ${name} WITH (FORCE)`) };
}

/** Runs the shipped store on a free port with an empty database, until `stop`. */
export class Tandem {
  static async start(settings = {}, database = 'SQLite') {
    const data = await mkdtemp(path.join(tmpdir(), 'tandem-node-'));
    const postgres = database === 'PostgreSQL' ? await createDatabase() : undefined;
    const flags = {
      '--listen': '127.0.0.1:0',
      '--log-format': 'json',
      '--resources': path.join(repository, 'resources.graphql'),
      '--data-dir': data,
      '--jwt-secret': SECRET,
      '--webhook-retry-schedule': '0s,100ms,100ms,100ms',
      ...(postgres && { '--database-url': postgres.url }),
      ...settings,
    };
    const foreign = ([name]) => name !== 'DATABASE_URL' && name !== 'RUST_LOG' && !name.startsWith('TANDEM_');
    // A flag whose value is true stands alone.
    const written = Object.entries(flags).map(([name, value]) => (value === true ? name : `${name}=${value}`));
    const child = spawn(binary(), ['serve', ...written], {
      env: Object.fromEntries(Object.entries(process.env).filter(foreign)),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const server = new Tandem(child, data, postgres);
    try {
      server.address = await server.#ready();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  constructor(child, data, postgres) {
    this.child = child;
    this.data = data;
    this.postgres = postgres;
    this.log = [];
  }

  #ready() {
    return new Promise((resolve, reject) => {
      const fail = (why) => {
        clearTimeout(timer);
        reject(new Error(`${why}:\n${this.log.join('\n')}`));
      };
      const timer = setTimeout(() => fail('the server is not ready in time'), READY_MS);
      this.child.once('exit', (code) => fail(`the server ended before it was ready (${code})`));
      for (const stream of [this.child.stdout, this.child.stderr]) {
        readline.createInterface({ input: stream }).on('line', (line) => {
          this.log.push(line);
          const address = listening(line);
          if (address) {
            clearTimeout(timer);
            resolve(address);
          }
        });
      }
    });
  }

  url(page, scheme = 'http') {
    return `${scheme}://${this.address}${page}`;
  }

  /** The response to a request, whatever it is. */
  async send(request, bearer) {
    const headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) };
    const response = await fetch(this.url('/graphql'), { method: 'POST', headers, body: JSON.stringify(request) });
    return response.json();
  }

  /** The `data` of a request that has to be without errors, and whose payload has to be without user errors. */
  async run(query, variables, bearer) {
    const result = await this.send({ query, variables }, bearer);
    const mistakes = Object.values(result.data ?? {}).flatMap((field) => field?.userErrors ?? []);
    if (result.errors || mistakes.length > 0) throw new Error(`${JSON.stringify(result)}\n${this.log.slice(-20).join('\n')}`);
    return result.data;
  }

  /** Creates a product as the admin, and returns it. */
  async createProduct(sku) {
    const mutation = `mutation($input: CreateProductInput!) { createProduct(input: $input) {
      product { id sku } change { id cursor } userErrors { code message path } } }`;
    const input = { sku, name: `Product ${sku}`, price: '9.90' };
    const data = await this.run(mutation, { input }, token('root', 'admin'));
    return { ...data.createProduct.product, change: data.createProduct.change };
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exit = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exit;
    }
    await this.postgres?.drop();
    await rm(this.data, { recursive: true, force: true });
  }
}

/** The address in the line that a server logs when it is ready. */
function listening(line) {
  if (!line.startsWith('{')) return undefined;
  const entry = JSON.parse(line);
  const fields = entry.fields ?? entry;
  return fields.message === 'listening' ? fields.address : undefined;
}
