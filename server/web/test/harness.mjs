// What the browser tests share: a browser that watches what the page does.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** The longest that anything on a page may take, on a busy machine. */
export const DEADLINE = 60_000;

/** Starts the browser, with a profile of its own that goes when it ends. */
export function startBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    timeout: DEADLINE,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/**
 * Opens a page in a context of its own. When the test ends the page must have logged no error and asked no other
 * origin for anything; `expected` are the errors that belong to the test.
 */
export async function openPage(t, browser, url, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  const problems = [];
  const origin = new URL(url).origin;
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (!['data:', 'blob:'].includes(asked.protocol) && asked.origin !== origin) {
      problems.push(`asked ${asked.origin}`);
    }
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems.filter((problem) => !expected.some((pattern) => pattern.test(problem))), []);
  });
  await page.goto(url);
  return page;
}

/** Asks again and again until the check passes, or the deadline tells why it does not. */
export async function eventually(check) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) {
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
