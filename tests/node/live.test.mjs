// The official graphql-ws client: it subscribes, gets events, and resumes with a cursor.

import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { onBoth, token } from './tandem.mjs';

const CHANGES = `subscription($after: String) { productChanged(after: $after) {
  kind transition nodeId position after { sku } } }`;

function client(server, bearer) {
  return createClient({
    url: server.url('/graphql', 'ws'),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: bearer && { authorization: `Bearer ${bearer}` },
  });
}

async function now(server) {
  return (await server.run('{ products(first: 1) { asOf } }')).products.asOf;
}

/** The next results of a subscription. */
async function take(results, count) {
  const taken = [];
  while (taken.length < count) {
    const { value, done } = await results.next();
    assert.ok(!done, 'the subscription goes on');
    assert.equal(value.errors, undefined);
    taken.push(value);
  }
  return taken;
}

onBoth('graphql-ws subscribes and gets events', async (t, start) => {
  const server = await start();
  t.after(() => server.stop());
  const admin = client(server, token('root', 'admin'));
  t.after(() => admin.dispose());
  const results = admin.iterate({ query: CHANGES, variables: { after: await now(server) } });
  const created = await server.createProduct('SKU-1');
  const [result] = await take(results, 1);
  assert.deepEqual(result.data.productChanged, {
    kind: 'CREATED',
    transition: 'ENTERED',
    nodeId: created.id,
    position: '1',
    after: { sku: 'SKU-1' },
  });
  assert.equal(result.extensions.cursor, created.change.cursor);
});

onBoth('graphql-ws resumes with a cursor after its connection broke', async (t, start) => {
  const server = await start();
  t.after(() => server.stop());
  const bearer = token('root', 'admin');
  let cursor = await now(server);
  const positions = [];
  for (let round = 0; round < 5; round += 1) {
    const broken = client(server, bearer);
    const results = broken.iterate({ query: CHANGES, variables: { after: cursor } });
    for (let number = 0; number < 3; number += 1) await server.createProduct(`SKU-${round}-${number}`);
    // Two of three, then the connection is gone with the third.
    for (const result of await take(results, 2)) {
      positions.push(Number(result.data.productChanged.position));
      cursor = result.extensions.cursor;
    }
    broken.terminate();
    await broken.dispose();
  }
  const last = client(server, bearer);
  t.after(() => last.dispose());
  const results = last.iterate({ query: CHANGES, variables: { after: cursor } });
  for (const result of await take(results, 5)) positions.push(Number(result.data.productChanged.position));
  assert.deepEqual(positions, Array.from({ length: 15 }, (_, index) => index + 1));
});

onBoth('graphql-ws runs queries and mutations, and gets errors', async (t, start) => {
  const server = await start();
  t.after(() => server.stop());
  const catalog = client(server, token('kate', 'catalog'));
  t.after(() => catalog.dispose());
  const mutation = `mutation { createProduct(input: {sku: "SKU-1", name: "x", price: "1"}) { product { sku } userErrors { code } } }`;
  const created = await first(catalog, mutation);
  assert.deepEqual(created.data.createProduct, { product: { sku: 'SKU-1' }, userErrors: [] });
  const seen = await first(catalog, '{ viewer { sub roles } }');
  assert.deepEqual(seen.data.viewer, { sub: 'kate', roles: ['catalog'] });
  await assert.rejects(first(catalog, 'subscription { nothing }'), (errors) => {
    assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    return true;
  });
});

onBoth('a token that is none closes the socket with 4403', async (t, start) => {
  const server = await start();
  t.after(() => server.stop());
  const forged = client(server, 'nonsense');
  t.after(() => forged.dispose());
  await assert.rejects(first(forged, '{ viewer { sub } }'), (close) => close.code === 4403);
});

async function first(from, query) {
  const [result] = await take(from.iterate({ query }), 1);
  return result;
}
