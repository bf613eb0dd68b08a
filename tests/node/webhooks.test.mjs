// The official Standard Webhooks library for JavaScript verifies what a receiver gets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';

import { Tandem, token } from './tandem.mjs';

const QUERY = 'subscription { productChanged { kind nodeId after { sku } } }';
const REGISTER = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) {
  secret userErrors { code message path } } }`;

/** A receiver that answers with the next status of a list, then 204, and hands out what comes. */
async function receiver(statuses) {
  const waiting = [];
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.writeHead(statuses.shift() ?? 204).end();
    const message = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    const next = waiting.shift();
    if (next) next(message);
    else received.push(message);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const next = () => (received.length > 0 ? received.shift() : new Promise((resolve) => waiting.push(resolve)));
  return { url: `http://127.0.0.1:${server.address().port}/`, next, close: () => server.close() };
}

test('standardwebhooks verifies every attempt', { timeout: 60_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const target = await receiver([500, 503]);
  t.after(() => target.close());
  const input = { url: target.url, query: QUERY };
  const { createWebhook } = await server.run(REGISTER, { input }, token('root', 'admin'));
  const webhook = new Webhook(createWebhook.secret);
  const created = await server.createProduct('SKU-1');
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const { headers, body } = await target.next();
    const message = webhook.verify(body, headers);
    assert.equal(headers['webhook-id'], created.change.id);
    assert.deepEqual(message.data.productChanged, { kind: 'CREATED', nodeId: created.id, after: { sku: 'SKU-1' } });
    assert.throws(() => webhook.verify(body.replace('SKU-1', 'SKU-2'), headers));
  }
});
