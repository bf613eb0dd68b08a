// The official Standard Webhooks library for JavaScript verifies what a receiver gets, and Node's own crypto the signatures
// of public keys, which that library does not know.

import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

import { onBoth, token } from './tandem.mjs';

const QUERY = 'subscription { productChanged { kind nodeId after { sku } } }';
const REGISTER = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) {
  secret userErrors { code message path } } }`;

const ROTATE = `mutation($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) {
  secret webhook { publicKey } userErrors { code message path } } }`;

/** The keys of the set that have made one of the v1a signatures. */
function signers(keys, { headers, body }) {
  const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
  const entries = headers['webhook-signature'].split(' ').filter((entry) => entry.startsWith('v1a,'));
  const signatures = entries.map((entry) => Buffer.from(entry.slice(4), 'base64'));
  const matches = (jwk) => {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return signatures.some((signature) => verify(null, signed, key, signature));
  };
  return keys.filter(matches).map((jwk) => jwk.kid);
}

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

onBoth('standardwebhooks verifies every attempt', async (t, start) => {
  const server = await start();
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

onBoth('old and new secrets and keys sign during a rotation', async (t, start) => {
  const server = await start();
  t.after(() => server.stop());
  const target = await receiver([]);
  t.after(() => target.close());
  const admin = token('root', 'admin');
  const register = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) {
    webhook { id publicKey } secret userErrors { code message path } } }`;
  const { createWebhook } = await server.run(register, { input: { url: target.url, query: QUERY } }, admin);
  const { id } = createWebhook.webhook;
  const keySet = async () => (await (await fetch(server.url(`/.well-known/jwks.json?webhook=${id}`))).json()).keys;

  await server.createProduct('SKU-1');
  const before = await target.next();
  const [first] = await keySet();
  assert.deepEqual(signers([first], before), [first.kid]);
  assert.deepEqual(signers([first], { ...before, body: before.body.replace('SKU-1', 'SKU-2') }), []);
  const raw = Buffer.from(first.x, 'base64url').toString('base64');
  assert.equal(createWebhook.webhook.publicKey, `whpk_${raw}`);

  const { rotateWebhookSecret } = await server.run(ROTATE, { input: { id } }, admin);
  await server.createProduct('SKU-2');
  const during = await target.next();
  for (const secret of [createWebhook.secret, rotateWebhookSecret.secret]) {
    assert.equal(new Webhook(secret).verify(during.body, during.headers).type, 'product.created');
  }
  const both = await keySet();
  assert.equal(both.length, 2);
  assert.deepEqual(signers(both, during), both.map((key) => key.kid));
  assert.deepEqual(signers(both, before), [first.kid]);

  await server.run(ROTATE, { input: { id, revokePrevious: true } }, admin);
  await server.createProduct('SKU-3');
  const after = await target.next();
  for (const secret of [createWebhook.secret, rotateWebhookSecret.secret]) {
    assert.throws(() => new Webhook(secret).verify(after.body, after.headers));
  }
  const [last] = await keySet();
  assert.deepEqual(signers([last, ...both], after), [last.kid]);
});
