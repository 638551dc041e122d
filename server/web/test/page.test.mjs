// The page at `/`, as people use it, on the real server.

import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { drawByMouse, drawByTouch, picture } from './digits.mjs';
import { Server } from '../../clients/server.mjs';
import { eventually, openPage, startBrowser } from './harness.mjs';

const MNIST = fileURLToPath(new URL('../../../inference/models/mnist', import.meta.url));
const NETWORK = [/Failed to load resource/];

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const open = (t, options) => openPage(t, browser, server.url, options);

async function answerIs(page, answer) {
  await eventually(async () => assert.equal(await page.locator('#answer .reading-text').textContent(), answer));
}

async function troubleSays(page, pattern) {
  await eventually(async () => assert.match(await page.locator('#trouble').innerText(), pattern));
}

const predictions = (page) => page.locator('#latest li').count();

test('a drawn digit is read, shown with bars, and written down', async (t) => {
  const page = await open(t);
  await drawByMouse(page, 7);
  await answerIs(page, '7');
  const bars = page.locator('#answer .bars li');
  assert.equal(await bars.count(), 10);
  assert.match(await bars.nth(7).innerText(), /^7\s+>?\d\d\.\d%$/);
  assert.match(await page.locator('#status').textContent(), /^Answer: 7, >?\d\d\.\d%\.$/);
  const [longest, shortest] = await eventually(async () => {
    const widths = await bars.evaluateAll((items) =>
      [7, 0].map((i) => new DOMMatrix(getComputedStyle(items[i].querySelector('.bar'), '::before').transform).a));
    assert.ok(widths[0] > 0.5);
    return widths;
  });
  assert.ok(longest > shortest);

  const entry = page.locator('#latest li').first();
  await eventually(async () => assert.match(await entry.innerText(), /^7\s/));
  assert.ok(await entry.locator('img').evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
});

test('a prediction is opened from the list, and by its address after a reload', async (t) => {
  const page = await open(t);
  await drawByMouse(page, 3);
  await answerIs(page, '3');
  await page.reload();
  await page.locator('#latest a').first().click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('.bars li').first().waitFor();
  const id = new URL(page.url()).hash.slice(1);
  assert.match(id, /^prediction_/);
  assert.match(await dialog.innerText(), /drawing\.png · 280 × 280 · PNG/);
  const picture = dialog.getByRole('img', { name: 'The image that was read as 3' });
  assert.equal(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 280);

  await page.reload();
  await dialog.getByText(id).waitFor();
  assert.equal(await dialog.locator('.reading-text').textContent(), '3');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await eventually(async () => assert.equal(new URL(page.url()).hash, ''));
  assert.ok(await dialog.isHidden());
});

test('a link to a prediction that is not there says so', async (t) => {
  const page = await open(t);
  await page.goto(`${server.url}/#prediction_01h455vb4pex5vsknk084sn02q`);
  await eventually(async () =>
    assert.match(await page.locator('#detail-trouble').innerText(), /There is no such prediction/));
});

test('strokes are taken back, and the sheet is cleared', async (t) => {
  const page = await open(t);
  await drawByMouse(page, 4);
  await answerIs(page, '4');
  await page.keyboard.press('Control+z');
  await eventually(async () => assert.notEqual(await page.locator('#answer .reading-text').textContent(), '4'));
  await page.getByRole('button', { name: 'Clear' }).click();
  await answerIs(page, '?');
  assert.equal(await page.locator('#status').textContent(), 'Cleared.');
  assert.ok(await page.locator('#hint').isVisible());
});

test('only the newest question is answered', async (t) => {
  const page = await open(t);
  const held = defer();
  let asked = 0;
  await page.route('**/graphql', async (route) => {
    if (route.request().headers()['content-type'].startsWith('multipart/') && asked++ === 0) {
      await held.promise;
    }
    await route.continue().catch(() => {}); // it may have been given up
  });
  await drawByMouse(page, 7);
  await eventually(() => assert.equal(asked, 1));
  await page.getByRole('button', { name: 'Clear' }).click();
  await drawByMouse(page, 2);
  await answerIs(page, '2');
  held.resolve();
  await drawByMouse(page, 2); // one more round trip, in which the old answer had its chance
  await eventually(() => assert.equal(asked, 3));
  await answerIs(page, '2');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
});

test('an image is chosen, dropped and pasted', async (t) => {
  const page = await open(t);
  const content = await picture(page, 7);
  const ways = {
    chosen: () => page.getByLabel('Choose an image', { exact: true }).setInputFiles({ name: 'seven.png', mimeType: 'image/png', buffer: content }),
    dropped: () => transfer(page, 'drop', content),
    pasted: () => transfer(page, 'paste', content),
  };
  for (const [name, way] of Object.entries(ways)) {
    await t.test(name, async () => {
      await way();
      await answerIs(page, '7');
      await page.getByRole('img', { name: /^The image seven/ }).waitFor();
      await page.getByRole('button', { name: 'Clear' }).click();
      await answerIs(page, '?');
    });
  }
  await t.test('nothing', async () => {
    await transfer(page, 'paste', null);
    await troubleSays(page, /no image on the clipboard/);
  });
});

test('a name of any length leaves the image to be seen, and what stands behind it as it is', async (t) => {
  const page = await open(t);
  const name = `\u202e${'a long name '.repeat(20)}.png`; // which turns the direction of what follows, too
  await page.setInputFiles('#file', { name, mimeType: 'image/png', buffer: await picture(page, 7) });
  await answerIs(page, '7');
  const [sheet, label] = await Promise.all(['#sheet', '#filename'].map((id) => page.locator(id).boundingBox()));
  assert.ok(label.height < sheet.height / 8, `${label.height} of ${sheet.height}`);

  await page.getByRole('link', { name: 'the record' }).click();
  const caption = page.locator('#detail figcaption');
  await eventually(async () => assert.match(await caption.textContent(), / · PNG · /));
  assert.equal(await caption.locator('bdi').textContent(), name);
});

test('what is no image is told plainly, and the next one is read', async (t) => {
  const page = await open(t);
  const before = await stored(page);
  const choose = (buffer) => page.getByLabel('Choose an image', { exact: true }).setInputFiles({ name: 'notes.png', mimeType: 'image/png', buffer });
  await choose(Buffer.from('dear diary'));
  await troubleSays(page, /^This is no image that can be read\.[^]*UNSUPPORTED_MEDIA_TYPE$/);
  const whole = await picture(page, 3);
  await choose(whole.subarray(0, 200));
  await troubleSays(page, /^This image is broken or incomplete\./);
  assert.equal(await stored(page), before);
  await choose(whole);
  await answerIs(page, '3');
  assert.equal(await page.locator('#trouble').innerText(), '');
});

test('a server that is full says to try again', async (t) => {
  const page = await open(t, { expected: NETWORK });
  await page.route('**/graphql', (route) => route.fulfill({
    status: 503,
    contentType: 'application/graphql-response+json',
    body: JSON.stringify({ errors: [{ message: 'too many predictions are waiting', extensions: { code: 'OVERLOADED' } }] }),
  }));
  await drawByMouse(page, 7);
  await troubleSays(page, /Too many ask at this moment[^]*OVERLOADED/);
  await page.unrouteAll();
  await page.locator('#trouble').getByRole('button', { name: 'Try again' }).click();
  await answerIs(page, '7');
});

test('a server that has gone is told plainly, and the page recovers', async (t) => {
  const page = await open(t, { expected: NETWORK });
  await drawByMouse(page, 2);
  await answerIs(page, '2');
  await server.down();
  await page.getByRole('button', { name: 'Clear' }).click();
  await drawByMouse(page, 7);
  await troubleSays(page, /The server cannot be reached/);
  await server.up();
  await page.locator('#trouble').getByRole('button', { name: 'Try again' }).click();
  await answerIs(page, '7');
  await eventually(async () => assert.match(await page.locator('#latest li').first().innerText(), /^7\s/));
});

test('a keyboard is enough', async (t) => {
  const page = await open(t);
  const content = await picture(page, 3);
  await tabTo(page, '#file');
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Space')]);
  await chooser.setFiles({ name: 'three.png', mimeType: 'image/png', buffer: content });
  await answerIs(page, '3');
  await eventually(async () => assert.match(await page.locator('#latest li').first().innerText(), /^3\s/));

  await tabTo(page, '#latest a');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.locator('.bars').waitFor();
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press('Tab');
    assert.ok(await page.evaluate(() => !document.activeElement.closest('main')), 'the focus left the dialog');
  }
  await page.keyboard.press('Escape');
  await eventually(async () => assert.ok(await dialog.isHidden()));
  assert.ok(await page.evaluate(() => document.activeElement.matches('#latest li:first-child a')));
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
});

test('older predictions come when they are asked for', async (t) => {
  const page = await open(t);
  const content = await picture(page, 7);
  const send = (count) => page.evaluate(async ([bytes, count]) => {
    for (let i = 0; i < count; i++) {
      const form = new FormData();
      form.append('operations', JSON.stringify({ query: 'mutation($f: Upload!) { predict(image: $f) { id } }', variables: { f: null } }));
      form.append('map', '{"0":["variables.f"]}');
      form.append('0', new Blob([new Uint8Array(bytes)]), 'x.png');
      await fetch('/graphql', { method: 'POST', body: form, headers: { 'GraphQL-Require-Preflight': '1' } });
    }
  }, [[...content], count]);
  await send(15);
  await page.reload();
  await eventually(async () => assert.equal(await predictions(page), 12));
  await send(2);
  await page.getByRole('button', { name: 'Show more' }).click();
  await eventually(async () => assert.ok((await predictions(page)) > 12));
  const ids = await page.locator('#latest li').evaluateAll((items) => items.map((item) => item.dataset.id));
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids, ids.toSorted().reverse());
  assert.equal(await page.evaluate(() => document.activeElement.closest('li')?.dataset.id), ids[12]);
});

test('a phone', async (t) => {
  const page = await open(t, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 3 });
  await drawByTouch(page, 3);
  await answerIs(page, '3');
  assert.equal(await page.evaluate(() => scrollY), 0, 'drawing scrolled the page');
  await page.locator('#latest li').first().waitFor();
  await fits(page);
  const small = await page.locator('button:visible, select:visible, .button, .quiet, #latest a').evaluateAll((controls) =>
    controls.filter((c) => Math.min(c.offsetWidth, c.offsetHeight) < 44).map((c) => c.outerHTML));
  assert.deepEqual(small, []);
  await page.locator('#latest a').first().tap();
  await page.locator('#detail .bars').waitFor();
  await fits(page);
});

test('dark and light', async (t) => {
  const page = await open(t, { colorScheme: 'dark' });
  const isDark = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g)[0] < 60);
  assert.ok(await isDark());
  await drawByMouse(page, 7);
  await answerIs(page, '7');
  assert.deepEqual(await sentPixels(page), { corner: 255, darkest: 0 });
  await page.emulateMedia({ colorScheme: 'light' });
  assert.ok(!(await isDark()));
  await page.getByRole('button', { name: 'Dark theme' }).click();
  assert.ok(await isDark());
  await page.reload();
  assert.ok(await isDark(), 'the choice was forgotten');
  const toggle = page.getByRole('button', { name: 'Dark theme' });
  assert.equal(await toggle.getAttribute('aria-pressed'), 'true');
  await toggle.click();
  assert.ok(!(await isDark()));
});

test('everything has a name, and can be read', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(t, { colorScheme, reducedMotion: 'reduce' });
    await drawByMouse(page, 7);
    await answerIs(page, '7');
    await page.locator('#latest li').first().waitFor();
    assert.deepEqual(await nameless(page), []);
    assert.deepEqual(await faint(page), []);
    await page.getByLabel('Choose an image', { exact: true }).setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('text') });
    await troubleSays(page, /no image/);
    assert.deepEqual(await faint(page), []);
    await page.locator('#latest a').first().click();
    await page.locator('#detail .bars').waitFor();
    assert.deepEqual(await nameless(page), []);
    assert.deepEqual(await faint(page), []);
  }
});

test('several models, and other kinds of them', async (t) => {
  const repository = await mkdtemp(path.join(tmpdir(), 'sibyl-models-'));
  t.after(() => rm(repository, { recursive: true, force: true }));
  for (const name of ['digits', 'numerals']) {
    await cp(MNIST, path.join(repository, name), { recursive: true });
  }
  const two = await Server.start('--models', repository, '--no-playground');
  t.after(() => two.close());
  const page = await openPage(t, browser, two.url, { expected: NETWORK });
  assert.equal(await page.getByRole('link', { name: 'Playground' }).count(), 0);
  assert.equal((await page.request.get(`${two.url}/playground/`)).status(), 404);

  await drawByMouse(page, 7);
  await answerIs(page, '7');
  assert.match(await page.locator('#record').innerText(), /Read by digits, version 1/);
  await page.getByLabel('Model').selectOption('numerals');
  await eventually(async () => assert.match(await page.locator('#record').innerText(), /Read by numerals, version 1/));

  // What other models answer, in the server's place.
  const answers = {
    regression: [{ classes: null, values: [3.14159265], outputs: [] }, /^3\.1416$/],
    none: [{ classes: null, values: null, outputs: [{ name: 'mask', datatype: 'FP32', shape: [1, 4] }] }, /^mask: FP32 \[1, 4\]$/],
    'many classes': [{ classes: range(21).map((index) => ({ index, name: `class ${index}`, confidence: 0.9 / (index + 1) })), values: null, outputs: [] },
      /^class 0\s+90\.0%\s[^]*class 9\s+9\.0%\s+Show every class$/],
  };
  for (const [kind, [prediction, shown]] of Object.entries(answers)) {
    await page.route('**/graphql', (route) => {
      if (!route.request().headers()['content-type'].startsWith('multipart/')) {
        return route.continue();
      }
      const predict = { id: 'prediction_x', model: { name: kind, version: 1 }, ...prediction };
      return route.fulfill({ contentType: 'application/graphql-response+json', body: JSON.stringify({ data: { predict } }) });
    });
    await page.getByRole('button', { name: 'Clear' }).click();
    await drawByMouse(page, 7);
    await eventually(async () => assert.match((await page.locator('#answer').innerText()).trim(), shown, kind));
    await page.unrouteAll({ behavior: 'wait' });
  }
});

/** Gives the page a file by a drop or from the clipboard; null: something that is no file. */
async function transfer(page, kind, content) {
  await page.evaluate(([kind, bytes]) => {
    const data = new DataTransfer();
    if (bytes) {
      data.items.add(new File([new Uint8Array(bytes)], 'seven.png', { type: 'image/png' }));
    } else {
      data.setData('text/plain', 'seven');
    }
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(kind === 'drop'
      ? new DragEvent('drop', { ...options, dataTransfer: data })
      : new ClipboardEvent('paste', { ...options, clipboardData: data }));
  }, [kind, content && [...content]]);
}

async function tabTo(page, selector) {
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) {
      return;
    }
  }
  assert.fail(`no way to ${selector} by keyboard`);
}

async function fits(page) {
  const widths = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return { scrollWidth, clientWidth };
  });
  assert.equal(widths.scrollWidth, widths.clientWidth, 'the page scrolls sideways');
}

/** How many predictions the server has. */
async function stored(page) {
  const answer = await page.request.post(`${server.url}/graphql`, { data: { query: '{ predictions(first: 0) { totalCount } }' } });
  return (await answer.json()).data.predictions.totalCount;
}

/** The corner and the darkest value of the image that was stored last. */
function sentPixels(page) {
  return page.evaluate(async () => {
    const query = '{ predictions(first: 1) { nodes { input { image { url } } } } }';
    const answer = await fetch('/graphql', {
      method: 'POST', body: JSON.stringify({ query }), headers: { 'Content-Type': 'application/json' },
    });
    const [{ input }] = (await answer.json()).data.predictions.nodes;
    const bitmap = await createImageBitmap(await (await fetch(input.image.url)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return { corner: data[0], darkest: data.filter((_, i) => i % 4 === 0).reduce((a, b) => Math.min(a, b)) };
  });
}

/** The controls and images that a screen reader has no name for. */
async function nameless(page) {
  const client = await page.context().newCDPSession(page);
  const { nodes } = await client.send('Accessibility.getFullAXTree');
  const roles = ['button', 'link', 'combobox', 'image', 'dialog', 'textbox', 'checkbox'];
  return nodes
    .filter(({ ignored, role, name }) => !ignored && roles.includes(role?.value) && !name?.value)
    .map(({ role, backendDOMNodeId }) => `${role.value} ${backendDOMNodeId}`);
}

/** The texts whose contrast with what is behind them is below 4.5. */
function faint(page) {
  return page.evaluate(() => {
    const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const rgb = (color) => {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = color;
      pixel.fillRect(0, 0, 1, 1);
      return pixel.getImageData(0, 0, 1, 1).data;
    };
    const luminance = (color) => {
      const [r, g, b] = [...rgb(color)].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const color = getComputedStyle(e).backgroundColor;
        if (rgb(color)[3] === 255) {
          return color;
        }
      }
      return '#fff';
    };
    const texts = [...document.querySelectorAll('body *')].filter((e) =>
      e.checkVisibility() && !e.closest('svg, .out-of-sight, [aria-hidden="true"], [data-waiting] .reading, [aria-disabled="true"]') &&
      [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()));
    return texts.flatMap((e) => {
      const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return contrast < 4.5 ? [`${contrast.toFixed(2)} ${e.textContent.slice(0, 40)}`] : [];
    });
  });
}

function range(n) {
  return Array.from({ length: n }, (_, i) => i);
}

function defer() {
  const deferred = {};
  deferred.promise = new Promise((resolve) => { deferred.resolve = resolve; });
  return deferred;
}
