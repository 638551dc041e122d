// The schema as clients see it: by introspection of the running server, printed.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import graphqlEslint from '@graphql-eslint/eslint-plugin';
import { Linter } from 'eslint';
import { buildClientSchema, buildSchema, findBreakingChanges, getIntrospectionQuery, printSchema } from 'graphql';

import { Server } from './server.mjs';

let server;
let schema;

before(async () => {
  server = await Server.start();
  const everything = { inputValueDeprecation: true, oneOf: true, schemaDescription: true, specifiedByUrl: true };
  const { data, errors } = await server.ask(getIntrospectionQuery(everything));
  assert.equal(errors, undefined);
  schema = buildClientSchema(data);
});
after(() => server.close());

const file = (name) => readFile(new URL(name, import.meta.url), 'utf8');

test('nothing of the contract is broken but what is not served yet', async () => {
  const changes = findBreakingChanges(buildSchema(await file('contract.graphqls')), schema).map((c) => c.description);
  const unserved = (await file('unserved.txt')).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.deepEqual(changes.toSorted(), unserved.toSorted());
});

/** What the linter says of a schema. */
function lint(code) {
  const rules = {
    ...graphqlEslint.configs['flat/schema-recommended'].rules,
    ...graphqlEslint.configs['flat/schema-relay'].rules,
    // Not every object has an ID: a class score is a part of its prediction.
    '@graphql-eslint/strict-id-in-types': 'off',
    // Lists are not of edges alone: `nodes` saves the clients a step.
    '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
    '@graphql-eslint/require-description': ['error', {
      types: true, rootField: true, DirectiveDefinition: true, FieldDefinition: true,
      InputValueDefinition: true, EnumValueDefinition: true,
    }],
  };
  const found = new Linter({ configType: 'flat' }).verify(code, [{
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': graphqlEslint },
    languageOptions: { parser: graphqlEslint.parser, parserOptions: { graphQLConfig: { schema: code } } },
    rules,
  }], { filename: 'schema.graphql' });
  return found.map(({ ruleId, line, message }) => `${ruleId} at ${line}: ${message}`);
}

test('the recommended and the Relay rules for schemas hold', () => {
  const code = printSchema(schema);
  assert.deepEqual(lint(code), []);
  assert.notDeepEqual(lint(code.replace('type PageInfo {', 'type PageInfo {\n  Undescribed: Int')), []);
});
