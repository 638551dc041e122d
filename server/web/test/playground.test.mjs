// The playground at `/playground`: Altair from npm, served by us, with nothing asked of anybody else.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { picture } from './digits.mjs';
import { Server } from '../../clients/server.mjs';
import { eventually, openPage, startBrowser } from './harness.mjs';

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const tab = (page, name) => page.locator('.window-switcher__item').filter({ hasText: name });
const query = (page) => page.locator('app-query-editor .cm-content').first();
const send = (page) => page.getByRole('button', { name: 'Send Request' }).click();

async function resultHas(page, pattern) {
  await eventually(async () => assert.match(await page.locator('app-query-result .cm-content').first().innerText(), pattern));
}

test('the starting queries work', async (t) => {
  // Altair tells of variables that are no JSON while they are still being typed.
  const page = await openPage(t, browser, `${server.url}/playground`, { expected: [/^Could not parse JSON/] });
  assert.equal(new URL(page.url()).pathname, '/playground/');

  await t.test('the latest predictions', async () => {
    await eventually(async () => assert.match(await query(page).innerText(), /query Latest/));
    await send(page);
    await resultHas(page, /"predictions":[^]*"nodes": \[\]/);
  });

  let id;
  await t.test('a prediction of a file', async () => {
    await tab(page, 'Predict').click();
    await eventually(async () => assert.match(await query(page).innerText(), /mutation Predict/));
    await page.locator('.variables-editor--title').click();
    await page.getByRole('button', { name: 'Add files' }).click();
    const file = page.locator('.variables-files-list');
    await file.locator('input[type=text], input:not([type])').first().fill('image');
    await file.locator('input[type=file]').setInputFiles(
      { name: 'seven.png', mimeType: 'image/png', buffer: await picture(page, 7) });
    await send(page);
    await resultHas(page, /"name": "7"/);
    const result = await page.locator('app-query-result .cm-content').first().innerText();
    [id] = result.match(/prediction_[0-9a-z]{26}/);
  });

  await t.test('one prediction', async () => {
    await tab(page, 'One').click();
    await eventually(async () => assert.match(await query(page).innerText(), /query One/));
    await page.locator('.variables-editor--title').click();
    await page.locator('app-variables-editor .cm-content').fill(`{ "id": "${id}" }`);
    await send(page);
    await resultHas(page, new RegExp(`"id": "${id}"[^]*"scores"`));
  });
});
