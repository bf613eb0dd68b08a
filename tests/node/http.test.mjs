// GraphQL over HTTP as the audits of its reference implementation see it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';

import { Tandem } from './tandem.mjs';

// https://github.com/graphql/graphql-http/tree/main/audits; a new version of the package may bring more.
const AUDITS = 61;

test('every audit of graphql-http passes', async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const audits = serverAudits({ url: server.url('/graphql') });
  const results = await Promise.all(audits.map((audit) => audit.fn()));
  const failed = results.filter(({ status }) => status !== 'ok');
  assert.deepEqual(failed.map(({ name, reason }) => `${name}: ${reason}`), []);
  assert.equal(results.length, AUDITS);
});
