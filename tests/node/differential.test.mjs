// Tandem against the reference implementation: the same documents and variables are accepted and refused at the same
// stage, arguments are coerced to the same values, and responses have the same data, nulls and error paths.
//
// The documents are made by chance from schema.graphql, with a seed: DIFFERENTIAL_SEED and DIFFERENTIAL_COUNT change what
// is tried, and a failure names what to give to try it again.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { buildSchema } from 'graphql';

import { request } from './differential/generate.mjs';
import { Random } from './differential/random.mjs';
import { coercedArguments, prepare, run } from './differential/reference.mjs';
import { executable, fill, snapshot } from './differential/shop.mjs';
import { choices } from './differential/choices.mjs';
import { Tandem, onBoth, repository, token } from './tandem.mjs';

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const COUNT = Number(process.env.DIFFERENTIAL_COUNT ?? 1500);

const STAGES = {
  GRAPHQL_PARSE_FAILED: 'parse',
  GRAPHQL_VALIDATION_FAILED: 'validate',
};

async function serve(t, start = Tandem.start) {
  const server = await start({ '--debug-extensions': true });
  t.after(() => server.stop());
  return { server, sdl: await readFile(path.join(repository, 'schema.graphql'), 'utf8') };
}

/** Where Tandem refused the request; "execute" if it did not. */
function stageOf(response) {
  if ('data' in response) return 'execute';
  return STAGES[response.errors[0].extensions.code] ?? 'request';
}

const shown = ({ query, variables, operationName }) => `${query}\n${JSON.stringify({ variables, operationName })}`;

test('documents, variables and arguments are read as graphql-js reads them', async (t) => {
  const { server, sdl } = await serve(t);
  const schema = buildSchema(sdl);
  const stages = { parse: 0, validate: 0, request: 0, execute: 0 };
  let coerced = 0;
  const different = [];
  for (let index = 0; index < COUNT; index += 1) {
    const random = new Random(SEED * 1_000_003 + index);
    const faults = random.pick([0, 0, 0, 1, 1, 2, 3]);
    const operations = ['query', 'query', 'query', 'mutation', 'mutation', 'subscription'];
    const made = request(random, schema, { faults, operations, introspection: random.chance(0.05) });
    const expected = prepare(schema, made);
    const response = await server.send(made);
    stages[expected.stage] += 1;
    const report = (what, ...more) => different.push([`${what} (seed ${SEED}, number ${index})`, shown(made), ...more].join('\n'));
    if (stageOf(response) !== expected.stage) {
      const why = (expected.errors ?? []).map((error) => error.message).join('; ');
      report(`graphql-js: ${expected.stage}, Tandem: ${stageOf(response)}`, why, JSON.stringify(response.errors));
    } else if (expected.stage === 'execute') {
      const { args, refused } = coercedArguments(expected);
      const seen = response.extensions?.debug.arguments;
      if (seen) {
        if (Object.keys(args).length > 0) coerced += 1;
        try {
          assert.deepEqual(seen, JSON.parse(JSON.stringify(args)));
        } catch (error) {
          report(`other arguments`, error.message);
        }
      }
      for (const key of refused) {
        if (!response.errors?.some((error) => error.path?.[0] === key)) report(`no error at ${key}`, JSON.stringify(response.errors));
      }
    }
  }
  t.diagnostic(`${COUNT} requests with seed ${SEED}: ${JSON.stringify(stages)}, the arguments of ${coerced}`);
  assert.equal(different.length, 0, `${different.length} differ\n\n${different.slice(0, 8).join('\n\n')}`);
  // A generator that makes only one sort of document finds nothing.
  for (const [what, count] of Object.entries({ ...stages, coerced })) assert.ok(count > COUNT / 50, `${what}: ${count}`);
});

/** Everywhere the same, save texts that only the server can make. */
function assertSame(actual, expected) {
  if (expected === 'masked') return assert.ok(typeof actual === 'string' && actual.length > 0);
  if (expected === null || typeof expected !== 'object') return assert.deepEqual(actual, expected);
  assert.ok(actual !== null && typeof actual === 'object', `${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
  // The order of the keys is that of the document, too.
  assert.deepEqual(Object.keys(actual), Object.keys(expected));
  for (const [key, value] of Object.entries(expected)) assertSame(actual[key], value);
}

/** Path, code and first place of each error. What graphql-js itself finds has no code. */
function errorsOf({ errors = [] }) {
  const shorten = ({ path: at, locations: [{ line, column }], extensions }) =>
    `${JSON.stringify(at)} ${extensions?.code ?? 'BAD_USER_INPUT'} ${line}:${column}`;
  return errors.map(shorten).sort();
}

function assertSameResponse(actual, expected) {
  assertSame(actual.data, expected.data);
  // Once all of `data` is null, how many more errors are reported is left open.
  const seen = errorsOf(actual);
  const wanted = errorsOf(expected);
  if (expected.data === null) assert.ok(wanted.every((error) => seen.includes(error)), `${seen} without ${wanted}`);
  else assert.deepEqual(seen, wanted);
}

/** A way into the response at which something is wrong, and what happens to what is around it. */
const NULLS = [
  'query($by: CustomerBy!) { customer(by: $by) { id orders(first: -1) { totalCount } } viewer { sub } }',
  'query($by: CustomerBy!) { a: customer(by: $by) { ...F } viewer { sub } } fragment F on Customer { b: orders(first: 1, last: 1) { totalCount } }',
  'query($by: CustomerBy!) { customer(by: $by) { orders(first: 2) { nodes { lines(first: 1) { nodes { product { sku cost } } } } } } }',
  '{ products(first: -1) { totalCount } viewer { sub } }',
  '{ viewer { sub } orders(last: 1001) { totalCount } products(after: "x") { nodes { cost } } }',
  '{ products(first: 2) { edges { node { c: cost cost } } nodes { ... on Node { ... on Product { cost } } } } }',
  // Null, or empty, is what comes first.
  '{ orders(first: 9) { nodes { lines(first: 9) { nodes { product { cost sku } order { lines(first: 0) { nodes { id } } note } } } } } }',
  '{ customers(first: 9) { nodes { orders(first: 9) { nodes { lines(first: 0) { nodes { id } } customer { name } } } } } }',
];

onBoth('responses have the data, the nulls and the error paths that graphql-js gives', async (t, start) => {
  const { server, sdl } = await serve(t, start);
  const schema = executable(sdl);
  const callers = [
    { bearer: token('root', 'admin'), sub: 'root', roles: ['admin'] },
    { bearer: token('ada'), sub: 'ada', roles: [] },
    { bearer: token('bob'), sub: 'bob', roles: [] },
    { bearer: undefined, sub: null, roles: [] },
  ];
  await fill(server, { admin: callers[0].bearer, users: [callers[1].bearer, callers[2].bearer] });
  const shops = await Promise.all(callers.map((caller) => snapshot(server, caller.bearer, caller)));
  const seen = { rows: 0, errors: 0, nothing: 0 };
  const compare = async (made, who, name) => {
    const expected = prepare(schema, made);
    assert.equal(expected.stage, 'execute', `${name}: ${shown(made)}\n${(expected.errors ?? []).join('; ')}`);
    const wanted = await run(schema, expected, made, shops[who]);
    const response = await server.send(made, callers[who].bearer);
    if (wanted.data === null) seen.nothing += 1;
    else if (wanted.errors) seen.errors += 1;
    else seen.rows += 1;
    try {
      assertSameResponse(response, wanted);
    } catch (error) {
      const message = `${name}, caller ${who}: ${error.message}\n${shown(made)}`;
      throw new Error(`${message}\nTandem:     ${JSON.stringify(response)}\ngraphql-js: ${JSON.stringify(wanted)}`);
    }
  };
  const by = { email: 'user0@example.com' };
  for (const query of NULLS) {
    for (const who of [0, 1]) await compare({ query, variables: query.includes('$by') ? { by } : {} }, who, 'a given document');
  }
  for (let index = 0; index < COUNT; index += 1) {
    const random = new Random(SEED * 2_000_003 + index);
    const who = random.below(callers.length);
    const made = request(random, schema, choices(random, shops[who]));
    if (prepare(schema, made).stage !== 'execute') continue;
    await compare(made, who, `seed ${SEED}, number ${index}`);
  }
  t.diagnostic(`${Object.values(seen).reduce((a, b) => a + b)} responses with seed ${SEED}: ${JSON.stringify(seen)}`);
  for (const [what, count] of Object.entries(seen)) assert.ok(count > COUNT / 100, `${what}: ${count}`);
});

// What the specification leaves open: descriptions of its own types and directives, the order of lists, and whether a
// scalar that nothing uses is among the types. `includeDeprecated` of directives is younger than it.
const OPEN = ['__Schema.description', '__Schema.types', '__Schema.directives'];

const withoutBuiltIn = (data) => JSON.parse(JSON.stringify(data), (_, value) => /^The `\w+` scalar type represents/.exec(value)?.[0] ?? value);

const BUILT_IN = ['ID', 'String', 'Int', 'Float', 'Boolean'];

test('introspection tells what graphql-js tells', async (t) => {
  const { server, sdl } = await serve(t);
  const schema = buildSchema(sdl);
  const types = Object.keys(schema.getTypeMap()).filter((name) => !name.startsWith('__') && !BUILT_IN.includes(name));
  const allow = (type, field) => type.name.startsWith('__') && !OPEN.includes(`${type.name}.${field.name}`);
  const argument = (type, field, { name }) =>
    name === 'name' ? (random) => random.pick(types) : (random) => random.chance(0.5);
  let compared = 0;
  for (let index = 0; index < COUNT; index += 1) {
    const random = new Random(SEED * 3_000_003 + index);
    const made = request(random, schema, { allow, argument, introspection: true });
    const prepared = prepare(schema, made);
    if (prepared.stage !== 'execute') continue;
    const expected = await run(schema, prepared, made);
    const { data, errors } = await server.send(made);
    assert.equal(errors, undefined, `seed ${SEED}, number ${index}: ${shown(made)}`);
    assert.deepEqual(withoutBuiltIn(data), withoutBuiltIn(expected.data), `seed ${SEED}, number ${index}: ${shown(made)}`);
    compared += 1;
  }
  t.diagnostic(`${compared} responses with seed ${SEED}`);
  assert.ok(compared > COUNT / 2, `${compared}`);
});
