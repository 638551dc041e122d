// The same work through the clients that people use: send an image, find it in the list, be told of an error.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { ApolloClient, CombinedGraphQLErrors, InMemoryCache, gql } from '@apollo/client/core';
import { cacheExchange, createClient, fetchExchange } from '@urql/core';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { ClientError, GraphQLClient } from 'graphql-request';

import { seven } from './digit.mjs';
import { Server } from './server.mjs';

const FIELDS = '{ id likelyClass { name } input { filename } }';
const PREDICT = `mutation Predict($image: Upload!) { predict(image: $image) ${FIELDS} }`;
const FIND = `query Find($id: ID!) { prediction(id: $id) ${FIELDS} }`;
const MISSING = 'prediction_01h455vb4pex5vsknk084sn02q';
const PREFLIGHT = { 'GraphQL-Require-Preflight': '1' };
const PYTHON = fileURLToPath(new URL('../../.cache/clients/bin/python', import.meta.url));
const run = promisify(execFile);

let server;
before(async () => { server = await Server.start(); });
after(() => server.close());

/** Skips a test whose tool is missing, loudly; where nothing may be skipped, it fails instead. */
function need(t, there, what) {
  if (!there) {
    assert.ok(!process.env.SIBYL_NO_SKIP, `this needs ${what}`);
    t.skip(`SKIPPED: this needs ${what}`);
  }
  return there;
}

const onPath = (name) => process.env.PATH.split(path.delimiter).some((at) => existsSync(path.join(at, name)));

function isSeven({ likelyClass, input }) {
  assert.equal(likelyClass.name, '7');
  assert.equal(input.filename, 'seven.png');
}

test('Apollo Client with apollo-upload-client', async () => {
  const link = new UploadHttpLink({ uri: server.endpoint, headers: PREFLIGHT });
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const { data } = await client.mutate({ mutation: gql(PREDICT), variables: { image: seven() } });
  isSeven(data.predict);
  const found = await client.query({ query: gql(FIND), variables: { id: data.predict.id } });
  assert.deepEqual(found.data.prediction, data.predict);
  await assert.rejects(client.query({ query: gql(FIND), variables: { id: MISSING } }), (error) =>
    CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === 'NOT_FOUND');
});

test('urql', async () => {
  const client = createClient({
    url: server.endpoint,
    exchanges: [cacheExchange, fetchExchange],
    preferGetMethod: false,
    fetchOptions: { headers: PREFLIGHT },
  });
  const { data, error } = await client.mutation(PREDICT, { image: seven() }).toPromise();
  assert.equal(error, undefined);
  isSeven(data.predict);
  const found = await client.query(FIND, { id: data.predict.id }).toPromise();
  assert.deepEqual(found.data.prediction, data.predict);
  const missing = await client.query(FIND, { id: MISSING }).toPromise();
  assert.equal(missing.error.graphQLErrors[0].extensions.code, 'NOT_FOUND');
});

test('urql by GET', async () => {
  const client = createClient({ url: server.endpoint, exchanges: [fetchExchange], preferGetMethod: 'force' });
  const { data, error } = await client.query('query Names { models { name } }', {}).toPromise();
  assert.equal(error, undefined);
  assert.equal(data.models[0].name, 'mnist');
});

test('graphql-request', async () => {
  const client = new GraphQLClient(server.endpoint);
  const { predictions } = await client.request('{ predictions(first: 1) { totalCount nodes { input { filename } } } }');
  assert.equal(predictions.nodes.length, Math.min(1, predictions.totalCount));
  await assert.rejects(client.request(FIND, { id: MISSING }), (error) =>
    error instanceof ClientError && error.response.errors[0].extensions.code === 'NOT_FOUND');
});

test('curl', async (t) => {
  if (!need(t, onPath('curl'), 'the apt package curl')) {
    return;
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'sibyl-curl-'));
  try {
    const file = path.join(directory, 'seven.png');
    await writeFile(file, seven().stream());
    const { stdout } = await run('curl', ['--silent', '--fail-with-body', server.endpoint,
      '-H', 'GraphQL-Require-Preflight: 1',
      '-F', `operations=${JSON.stringify({ query: PREDICT, variables: { image: null } })}`,
      '-F', 'map={"0": ["variables.image"]}', '-F', `0=@${file}`]);
    isSeven(JSON.parse(stdout).data.predict);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("Python's gql", async (t) => {
  if (!need(t, existsSync(PYTHON), "Python 3.11 with venv, and pip's packages")) {
    return;
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'sibyl-gql-'));
  try {
    const file = path.join(directory, 'seven.png');
    await writeFile(file, seven().stream());
    const program = fileURLToPath(new URL('client.py', import.meta.url));
    const { stdout } = await run(PYTHON, [program, server.endpoint, file, PREDICT, FIND]);
    const { predicted, found, missing } = JSON.parse(stdout);
    isSeven(predicted);
    assert.deepEqual(found, predicted);
    assert.equal(missing, 'NOT_FOUND');
  } finally {
    await rm(directory, { recursive: true });
  }
});
