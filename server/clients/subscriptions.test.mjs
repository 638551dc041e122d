// What is stored is told to the clients that people subscribe with, over WebSocket and as Server-Sent Events.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createClient as createEvents } from 'graphql-sse';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

import { seven } from './digit.mjs';
import { Server } from './server.mjs';

const ADDED = 'subscription Added { predictionAdded { id likelyClass { name } input { filename } } }';

let server;
before(async () => { server = await Server.start(); });
after(() => server.close());

/** Sends the image and returns the prediction's ID. */
async function predict() {
  const body = new FormData();
  body.set('operations', JSON.stringify({
    query: 'mutation ($image: Upload!) { predict(image: $image) { id } }', variables: { image: null },
  }));
  body.set('map', '{"0": ["variables.image"]}');
  body.set('0', seven());
  const answer = await fetch(server.endpoint, { method: 'POST', headers: { 'GraphQL-Require-Preflight': '1' }, body });
  return (await answer.json()).data.predict.id;
}

/** Waits until the server has as many subscribers. */
async function subscribers(count) {
  for (;;) {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    if (metrics.includes(`\nsibyl_subscribers ${count}\n`)) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const over = {
  'graphql-ws': () => createSocket({
    url: server.endpoint.replace('http', 'ws'), webSocketImpl: WebSocket, lazyCloseTimeout: 0, retryAttempts: 0,
  }),
  'graphql-sse': () => createEvents({ url: server.endpoint, retryAttempts: 0 }),
  'graphql-sse, which would take JSON too': () => createEvents({
    url: server.endpoint, retryAttempts: 0, headers: { accept: 'application/json, text/event-stream' },
  }),
};

for (const [name, create] of Object.entries(over)) {
  test(name, async () => {
    const client = create();
    const added = client.iterate({ query: ADDED });
    const first = added.next();
    await subscribers(1);
    for (let next = first, i = 0; i < 3; i += 1, next = added.next()) {
      const id = await predict();
      assert.deepEqual((await next).value, {
        data: { predictionAdded: { id, likelyClass: { name: '7' }, input: { filename: 'seven.png' } } },
      });
    }
    await added.return();
    await subscribers(0);
    const answers = [];
    for await (const answer of client.iterate({ query: '{ models { name } }' })) {
      answers.push(answer);
    }
    assert.deepEqual(answers, [{ data: { models: [{ name: 'mnist' }] } }]);
    await client.dispose();
  });
}

test('a refused subscription', async () => {
  const refused = 'subscription { predictionAdded(filter: {inputId: "x"}) { id } }';
  const socket = over['graphql-ws']();
  await assert.rejects(socket.iterate({ query: refused }).next(), ([error]) => error.extensions.code === 'BAD_USER_INPUT');
  await socket.dispose();
  const { value } = await over['graphql-sse']().iterate({ query: refused }).next();
  assert.equal(value.errors[0].extensions.code, 'BAD_USER_INPUT');
  await assert.rejects(over['graphql-sse']().iterate({ query: 'subscription { nothing }' }).next(), /400/);
});

test('a server that stops', async () => {
  const socket = over['graphql-ws']();
  const closed = new Promise((resolve) => socket.on('closed', resolve));
  const [overSocket, events] = [socket, over['graphql-sse']()].map((client) => client.iterate({ query: ADDED }));
  const [socketEnd, reason] = [overSocket.next(), events.next()];
  await subscribers(2);
  await server.down();
  assert.deepEqual(await socketEnd, { value: undefined, done: true });
  assert.equal((await reason).value.errors[0].extensions.code, 'OVERLOADED');
  assert.deepEqual(await events.next(), { value: undefined, done: true });
  await socket.dispose();
  assert.ok([1000, 1001].includes((await closed).code));
});
