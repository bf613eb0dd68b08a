// The official clients of every transport, unmodified: they all get the same events in the same order, and those are what
// the query `changes` says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { WebSocketLink } from '@apollo/client/link/ws';
import { Client as UrqlClient, fetchExchange } from '@urql/core';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { SubscriptionClient } from 'subscriptions-transport-ws';
import WebSocket from 'ws';

import { Tandem, token } from './tandem.mjs';

// Apollo Client looks at it when a socket has an error; older versions of Node have none.
globalThis.WebSocket ??= WebSocket;

const FIELDS = 'id cursor kind type nodeId version changedFields transition position by';
const CHANGES = `subscription($after: String) { changes(after: $after) { ${FIELDS} } }`;
const LOG = `query($after: String) { changes(after: $after, first: 1000) { nodes { ${FIELDS} } } }`;
const ROUNDS = 20;
const bearer = `Bearer ${token('root', 'admin')}`;
const headers = { authorization: bearer };
const connectionParams = { authorization: bearer };

const wsClient = (server) =>
  createWsClient({ url: server.url('/graphql', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0, connectionParams });

const legacyClient = (server) =>
  new SubscriptionClient(server.url('/graphql', 'ws'), { connectionParams }, WebSocket);

const sseClient = (server, singleConnection) =>
  createSseClient({
    url: server.url(singleConnection ? '/graphql/stream' : '/graphql'),
    singleConnection,
    retryAttempts: 0,
    headers: () => ({ ...headers }),
  });

const apollo = (link) => new ApolloClient({ link, cache: new InMemoryCache() });

function followWithApollo(client, request, sink) {
  const { variables } = request;
  const results = client.subscribe({ query: gql(request.query), variables, fetchPolicy: 'no-cache', errorPolicy: 'all' });
  const subscription = results.subscribe({
    next: (result) => (result.error ? sink.error(result.error) : sink.next(result)),
    error: sink.error,
    complete: sink.complete,
  });
  return () => subscription.unsubscribe();
}

function followWithUrql(accept) {
  return (server, request, sink) => {
    const client = new UrqlClient({
      url: server.url('/graphql'),
      exchanges: [fetchExchange],
      fetchSubscriptions: true,
      fetchOptions: { headers: { ...headers, ...(accept && { accept }) } },
      preferGetMethod: false,
    });
    const { unsubscribe } = client.subscription(request.query, request.variables).subscribe((result) => {
      if (result.error) sink.error(result.error);
      else if (result.hasNext) sink.next(result);
      else sink.complete();
    });
    return unsubscribe;
  };
}

// Each starts an operation, and returns what ends it.
const TRANSPORTS = {
  'graphql-ws': (server, request, sink) => {
    const client = wsClient(server);
    client.subscribe(request, sink);
    return () => client.dispose();
  },
  'subscriptions-transport-ws': (server, request, sink) => {
    const client = legacyClient(server);
    client.request(request).subscribe(sink);
    return () => client.close();
  },
  'graphql-sse, distinct connections': (server, request, sink) => {
    const client = sseClient(server, false);
    client.subscribe(request, sink);
    return () => client.dispose();
  },
  'graphql-sse, single connection': (server, request, sink) => {
    const client = sseClient(server, true);
    client.subscribe(request, sink);
    return () => client.dispose();
  },
  'Apollo Client, multipart': (server, request, sink) =>
    followWithApollo(apollo(new HttpLink({ uri: server.url('/graphql'), headers })), request, sink),
  'Apollo Client, graphql-ws': (server, request, sink) => {
    const client = wsClient(server);
    followWithApollo(apollo(new GraphQLWsLink(client)), request, sink);
    return () => client.dispose();
  },
  'Apollo Client, subscriptions-transport-ws': (server, request, sink) => {
    const client = legacyClient(server);
    followWithApollo(apollo(new WebSocketLink(client)), request, sink);
    return () => client.close();
  },
  'urql, Server-Sent Events': followWithUrql(),
  'urql, multipart': followWithUrql('multipart/mixed'),
  'urql, multipart as Apollo has it': followWithUrql('multipart/mixed;subscriptionSpec=1.0'),
};

/** The next `count` changes of a subscription; it is ended then. */
function follow(transport, server, variables, count) {
  return new Promise((resolve, reject) => {
    const changes = [];
    const stop = TRANSPORTS[transport](server, { query: CHANGES, variables }, {
      next(result) {
        if (result.errors) reject(new Error(JSON.stringify(result.errors)));
        const { __typename, ...change } = result.data.changes;
        changes.push(change);
        if (changes.length === count) {
          resolve(changes);
          setImmediate(() => stop());
        }
      },
      error: (error) => reject(error instanceof Error ? error : new Error(JSON.stringify(error))),
      complete: () => reject(new Error(`complete after ${changes.length} changes`)),
    });
  });
}

/** What a client is told is wrong with an operation, in whatever shape it is told. */
function refusal(transport, server, query) {
  return new Promise((resolve, reject) => {
    const told = (errors) => {
      setImmediate(() => stop());
      // What urql and Apollo Client were told is inside what they say.
      const said = errors.graphQLErrors ?? errors.cause ?? errors;
      resolve(said.response ? `status ${said.response.status}` : JSON.stringify(said));
    };
    const stop = TRANSPORTS[transport](server, { query, variables: {} }, {
      next: (result) => (result.errors ? told(result.errors) : reject(new Error(JSON.stringify(result)))),
      error: told,
      complete: () => {},
    });
  });
}

test('every transport brings the same events in the same order', { timeout: 120_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const { products } = await server.run('{ products(first: 1) { asOf } }');
  const variables = { after: products.asOf };
  // Half of what happens is in the log already when they start, half happens while they follow.
  const write = async (from) => {
    for (let round = from; round < from + ROUNDS; round += 1) {
      const { id } = await server.createProduct(`SKU-${round}`);
      const update = `mutation($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }`;
      await server.run(update, { input: { id, patch: { stock: round } } }, token('root', 'admin'));
    }
  };
  await write(0);
  const names = Object.keys(TRANSPORTS);
  const following = names.map((name) => follow(name, server, variables, 4 * ROUNDS));
  await write(ROUNDS);
  const log = (await server.run(LOG, variables, token('root', 'admin'))).changes.nodes;
  assert.equal(log.length, 4 * ROUNDS);
  for (const [index, changes] of (await Promise.all(following)).entries()) {
    assert.deepEqual(changes, log, names[index]);
  }
});

test('every transport says why an operation is refused', { timeout: 60_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const cases = [
    ['subscription { nothing }', /GRAPHQL_VALIDATION_FAILED/],
    ['subscription { changes(after: "nonsense") { id } }', /CURSOR_INVALID/],
  ];
  for (const name of Object.keys(TRANSPORTS)) {
    for (const [query, code] of cases) {
      // Here the request that starts the operation is refused, and the client shows no more of it than its status.
      const expected = name === 'graphql-sse, single connection' ? /^status 400$/ : code;
      assert.match(await refusal(name, server, query), expected, name);
    }
  }
});

test('graphql-sse goes on after the last event that it has', { timeout: 60_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  for (const singleConnection of [false, true]) {
    let cursor = (await server.run('{ products(first: 1) { asOf } }')).products.asOf;
    const seen = [];
    const expected = [];
    for (let round = 0; round < 4; round += 1) {
      for (let number = 0; number < 3; number += 1) {
        expected.push((await server.createProduct(`SKU-${singleConnection ? 'S' : 'D'}-${round}-${number}`)).id);
      }
      const client = createSseClient({
        url: server.url(singleConnection ? '/graphql/stream' : '/graphql'),
        singleConnection,
        headers: () => ({ ...headers, 'last-event-id': cursor }),
      });
      // The last one is left behind each time but the last.
      for await (const { data, extensions } of client.iterate({ query: 'subscription { changes { nodeId } }' })) {
        seen.push(data.changes.nodeId);
        ({ cursor } = extensions);
        if (seen.length === expected.length - (round < 3 ? 1 : 0)) break;
      }
      client.dispose();
    }
    assert.deepEqual(seen, expected);
  }
});

test('queries and mutations work over sockets and streams', { timeout: 60_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  for (const name of ['graphql-ws', 'subscriptions-transport-ws', 'graphql-sse, distinct connections', 'graphql-sse, single connection']) {
    const results = [];
    await new Promise((resolve, reject) => {
      const stop = TRANSPORTS[name](server, { query: '{ viewer { sub roles } }' }, {
        next: (result) => results.push(result),
        error: reject,
        complete: () => {
          resolve();
          setImmediate(() => stop());
        },
      });
    });
    assert.deepEqual(results, [{ data: { viewer: { sub: 'root', roles: ['admin'] } } }], name);
  }
});
