// The page where the server wants an API key.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { drawByMouse } from './digits.mjs';
import { BINARY, Server } from '../../clients/server.mjs';
import { eventually, openPage, startBrowser } from './harness.mjs';

// What a browser logs of an answer with status 401 or 403.
const REFUSED = [/Failed to load resource.* 40[13] /];

let directory;
let server;
let browser;
const keys = {};

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sibyl-keys-'));
  const lines = [];
  for (const [name, roles] of [['desk', 'reader,predictor'], ['wall', 'reader']]) {
    const [key, line] = execFileSync(BINARY, ['keys', 'new', name, '--roles', roles], { stdio: 'pipe' }).toString().split('\n');
    keys[name] = key;
    lines.push(line);
  }
  const file = path.join(directory, 'keys');
  await writeFile(file, lines.join('\n'));
  [server, browser] = await Promise.all([Server.start('--api-keys', file), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.close();
  await rm(directory, { recursive: true, force: true });
});

const open = (t) => openPage(t, browser, server.url, { expected: REFUSED });

async function giveKey(page, key) {
  const dialog = page.getByRole('dialog', { name: 'An API key, please' });
  await dialog.getByLabel('API key', { exact: true }).fill(key);
  await dialog.getByRole('button', { name: 'Go on' }).click();
}

test('the key is asked for once, and what it allows is done and shown', async (t) => {
  const page = await open(t);
  await giveKey(page, 'sibyl_wrong');
  await page.getByText('The server does not know this key.').waitFor();
  await giveKey(page, keys.desk);
  await page.getByText('Nothing yet').waitFor();
  await drawByMouse(page, 7);
  await eventually(async () => assert.equal(await page.locator('#answer .reading-text').textContent(), '7'));

  await page.reload();
  await page.locator('#latest a').first().click();
  const picture = page.getByRole('img', { name: 'The image that was read as 7' });
  assert.equal(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 280);
  assert.ok(await page.locator('#key').isHidden());
  const stored = await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]);
  assert.deepEqual(stored, [1, 0, '']);
});

test('another tab asks again, and who gives no key is told why nothing is there', async (t) => {
  const page = await open(t);
  await page.locator('#key').waitFor();
  await page.keyboard.press('Escape');
  const trouble = page.locator('#latest-trouble');
  await eventually(async () => assert.match(await trouble.innerText(), /wants an API key[^]*UNAUTHENTICATED/));
  await trouble.getByRole('button', { name: 'Try again' }).click();
  await giveKey(page, keys.wall);
  await eventually(async () => assert.equal(await trouble.innerText(), ''));
});

test('what the key does not allow is told', async (t) => {
  const page = await open(t);
  await giveKey(page, keys.wall);
  await drawByMouse(page, 7);
  await eventually(async () =>
    assert.match(await page.locator('#trouble').innerText(), /Your key does not allow this[^]*PREDICTOR[^]*FORBIDDEN/));
});
