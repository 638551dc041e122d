// Documents that Apollo Client names by their SHA-256: those it has sent before, and those the server trusts.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { print } from 'graphql';

import { Server } from './server.mjs';

const NAMES = gql`query Names { models { name } }`;
const COUNT = gql`query Count { predictions(first: 1) { totalCount } }`;
const RELOAD = gql`mutation Reload { reloadModels { name } }`;
// Apollo Client adds __typename before it prints.
const SENT = 'query Names {\n  models {\n    name\n    __typename\n  }\n}';
const HASHED = 'GET hash';
const BOTH = 'POST query hash';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** A client of the server, and what it sends: the methods, and which of query and hash. */
function connect(server) {
  const sent = [];
  const send = (uri, options) => {
    const members = options.method === 'GET' ? Object.fromEntries(new URL(uri).searchParams) : JSON.parse(options.body);
    const hash = JSON.stringify(members.extensions ?? '').includes('sha256Hash');
    sent.push([options.method, members.query && 'query', hash && 'hash'].filter(Boolean).join(' '));
    return fetch(uri, options);
  };
  const link = new PersistedQueryLink({ sha256, useGETForHashedQueries: true })
    .concat(new HttpLink({ uri: server.endpoint, fetch: send }));
  const defaultOptions = { query: { fetchPolicy: 'network-only' } };
  return { client: new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions }), sent };
}

async function names(client) {
  const { data } = await client.query({ query: NAMES });
  assert.equal(data.models[0].name, 'mnist');
}

test('a document is sent once, and for all clients', async () => {
  const server = await Server.start();
  try {
    const first = connect(server);
    await names(first.client);
    await names(first.client);
    assert.deepEqual(first.sent, [HASHED, BOTH, HASHED]);
    const second = connect(server);
    await names(second.client);
    assert.deepEqual(second.sent, [HASHED]);
    for (const sent of [['POST hash', BOTH], ['POST hash']]) {
      const third = connect(server);
      assert.equal((await third.client.mutate({ mutation: RELOAD })).data.reloadModels[0].name, 'mnist');
      assert.deepEqual(third.sent, sent);
    }
  } finally {
    await server.close();
  }
});

test('where no documents are kept no more hashes are sent', async () => {
  const server = await Server.start('--persisted-queries', '0');
  try {
    const { client, sent } = connect(server);
    await names(client);
    await names(client);
    assert.deepEqual(sent, [HASHED, 'POST query', 'POST query']);
  } finally {
    await server.close();
  }
});

test('where only trusted documents are run others are refused', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sibyl-trusted-'));
  await writeFile(path.join(directory, 'names.graphql'), `${SENT}\n`);
  const server = await Server.start('--trusted-documents', directory, '--trusted-only');
  try {
    const { client, sent } = connect(server);
    await names(client);
    assert.deepEqual(sent, [HASHED]);
    await assert.rejects(client.query({ query: COUNT }), (error) =>
      CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === 'BAD_REQUEST');
    assert.deepEqual(sent, [HASHED, HASHED, BOTH]);
    for (const documentId of ['names', `sha256:${sha256(SENT)}`]) {
      const answer = await fetch(`${server.endpoint}?${new URLSearchParams({ documentId })}`);
      assert.equal((await answer.json()).data.models[0].name, 'mnist');
    }
    assert.equal((await server.ask(print(NAMES))).errors[0].extensions.code, 'BAD_REQUEST');
  } finally {
    await server.close();
    await rm(directory, { recursive: true });
  }
});
