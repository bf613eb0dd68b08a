// Tools that others wrote read schema.graphql, and compile clients against it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { codegen } from '@graphql-codegen/core';
import { preset as clientPreset } from '@graphql-codegen/client-preset';
import * as typescript from '@graphql-codegen/typescript';
import * as typescriptOperations from '@graphql-codegen/typescript-operations';
import graphqlEslint from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { buildSchema, isObjectType, parse } from 'graphql';

import { documents, relayDocuments } from './clients.mjs';
import { repository } from './tandem.mjs';

const SCHEMA = path.join(repository, 'schema.graphql');
const RELAY_COMPILER = fileURLToPath(import.meta.resolve('relay-compiler/cli.js'));

// As any client of a schema with scalars of its own has to say.
const scalars = { BigInt: 'string', Decimal: 'string', DateTime: 'string', Date: 'string', UUID: 'string', JSON: 'unknown' };

const sources = documents.map((document, index) => ({
  location: `${index}.graphql`,
  document: parse(document),
  rawSDL: document,
}));

async function temporary(t) {
  const folder = await mkdtemp(path.join(tmpdir(), 'tandem-tools-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('relay-compiler compiles a client', async (t) => {
  const folder = await temporary(t);
  const source = [...documents, ...relayDocuments].map((document) => `graphql\`${document}\`;`).join('\n');
  await mkdir(path.join(folder, 'src'));
  await writeFile(path.join(folder, 'src/Tools.js'), `import { graphql } from 'react-relay';\n${source}\n`);
  await writeFile(path.join(folder, 'schema.graphql'), await readFile(SCHEMA));
  const config = { src: './src', schema: './schema.graphql', language: 'javascript', eagerEsModules: true };
  await writeFile(path.join(folder, 'relay.config.json'), JSON.stringify(config));
  await promisify(execFile)(process.execPath, [RELAY_COMPILER, 'relay.config.json'], { cwd: folder });
  const artifacts = await readdir(path.join(folder, 'src/__generated__'));
  // A file for each fragment and operation, and for each of the two queries that refetch.
  assert.equal(artifacts.length, documents.length + relayDocuments.length + 2);
});

test('graphql-codegen makes types of the schema and of operations', async () => {
  const schema = parse(await readFile(SCHEMA, 'utf8'));
  const code = await codegen({
    filename: 'api.ts',
    schema,
    documents: sources,
    config: { scalars, dedupeOperationSuffix: true },
    plugins: [{ typescript: {} }, { typescriptOperations: {} }],
    pluginMap: { typescript, typescriptOperations },
  });
  assert.match(code, /export type ProductFilter = \{/);
  assert.match(code, /export type ToolsProductsQuery = /);
  assert.doesNotMatch(code, /: any\b/, 'every scalar has a type');
});

test("graphql-codegen's client preset makes typed documents", async () => {
  const files = await clientPreset.buildGeneratesSection({
    baseOutputDir: 'gql/',
    schema: parse(await readFile(SCHEMA, 'utf8')),
    documents: sources,
    config: { scalars, dedupeOperationSuffix: true },
    presetConfig: {},
    plugins: [],
    pluginMap: {},
    pluginContext: {},
  });
  const code = await Promise.all(files.map((file) => codegen(file)));
  assert.ok(code.some((text) => text.includes('ToolsCreateProductMutationDocument')));
});

test("graphql-eslint's recommended rules for schemas are kept", async () => {
  const sdl = await readFile(SCHEMA, 'utf8');
  const objects = Object.values(buildSchema(sdl).getTypeMap()).filter(isObjectType);
  const identified = (type) => type.getInterfaces().length > 0 || type.name.endsWith('Snapshot');
  const eslint = new ESLint({
    cwd: repository,
    overrideConfigFile: true,
    overrideConfig: {
      files: ['**/*.graphql'],
      plugins: { '@graphql-eslint': graphqlEslint },
      languageOptions: { parser: graphqlEslint.parser, parserOptions: { graphQLConfig: { schema: SCHEMA } } },
      rules: {
        ...graphqlEslint.configs['flat/schema-recommended'].rules,
        // Pages, edges, payloads and aggregates have no identity of their own; only nodes, changes and snapshots have.
        '@graphql-eslint/strict-id-in-types': [
          'error',
          { exceptions: { types: objects.filter((type) => !identified(type)).map((type) => type.name) } },
        ],
      },
    },
  });
  const [{ messages }] = await eslint.lintFiles([SCHEMA]);
  assert.deepEqual(
    messages.map(({ message }) => message),
    // "changed" is no prefix that repeats the type, it is what the fields are.
    ['Field "changedFields" starts with the name of the parent type "Change"'],
  );
});
