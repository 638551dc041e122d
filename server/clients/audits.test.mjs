// GraphQL over HTTP as graphql-http audits it: each of its MUST, SHOULD and MAY is a test of its own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { serverAudits } from 'graphql-http';

import { Server } from './server.mjs';

let server;
before(async () => { server = await Server.start(); });
after(() => server.close());

for (const audit of serverAudits({ url: () => server.endpoint })) {
  test(audit.name, async () => {
    const result = await audit.fn();
    if (result.status !== 'ok') {
      assert.fail(`${result.reason}: ${result.response.status} ${await result.response.text()}`);
    }
  });
}
