// The page at `/`, in a real browser: it loads without errors, runs a query and shows the live tail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chromium } from 'playwright-core';

import { Tandem } from './tandem.mjs';

const DEADLINE_MS = 30_000;

test('the page at / runs a query and shows the live tail', { timeout: 120_000 }, async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  const foreign = [];
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== 'data:' && host !== server.address) foreign.push(request.url());
  });

  const response = await page.goto(server.url('/'));
  assert.equal(response.status(), 200);
  assert.match(await page.title(), /tandem/i);

  await page.click('#run');
  await page.waitForFunction(() => document.querySelector('#result').textContent.includes('"viewer"'), undefined, {
    timeout: DEADLINE_MS,
  });

  await page.click('#follow');
  // Nothing on a page says that its subscription has begun, so new products are made until one shows.
  const ids = [];
  await waitFor('a new product shows on the page', async () => {
    ids.push((await server.createProduct(`SKU-${ids.length}`)).id);
    const text = await page.evaluate(() => document.querySelector('#changes').innerText);
    return ids.some((id) => text.includes(id));
  });
  const last = await server.createProduct('SKU-LAST');
  await page.waitForFunction((id) => document.querySelector('#changes').innerText.includes(id), last.id, { timeout: DEADLINE_MS });
  assert.deepEqual(problems, []);
  assert.deepEqual(foreign, [], 'the page asks nobody but its own server');
});

/** Asks again and again until the answer is yes. */
async function waitFor(what, holds) {
  const end = Date.now() + DEADLINE_MS;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`waited ${DEADLINE_MS} ms in vain: ${what}`);
}
