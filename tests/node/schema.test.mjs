// schema.graphql is a schema for the reference implementation too, and what the server says of itself is the same one.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import {
  GraphQLSchema,
  assertValidSchema,
  buildClientSchema,
  buildSchema,
  findBreakingChanges,
  findDangerousChanges,
  getIntrospectionQuery,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isEnumType,
  isSpecifiedDirective,
  isSpecifiedScalarType,
} from 'graphql';

import { Tandem, repository } from './tandem.mjs';

const committed = async () => buildSchema(await readFile(path.join(repository, 'schema.graphql'), 'utf8'));

test('schema.graphql is valid', async () => {
  assertValidSchema(await committed());
});

test('every type, field, argument and enum value has a description', async () => {
  const missing = [];
  const look = (name, thing) => thing.description || missing.push(name);
  for (const type of Object.values((await committed()).getTypeMap())) {
    if (type.name.startsWith('__')) continue;
    look(type.name, type);
    if (isEnumType(type)) type.getValues().forEach((value) => look(`${type.name}.${value.name}`, value));
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      look(`${type.name}.${field.name}`, field);
      (field.args ?? []).forEach((argument) => look(`${type.name}.${field.name}(${argument.name})`, argument));
    }
  }
  assert.deepEqual(missing, []);
});

// What the specification defines is filled in by graphql-js, in the edition that it knows. Scalars that nothing refers to
// may or may not be listed.
const withoutSpecified = (schema) => {
  const config = schema.toConfig();
  const directives = config.directives.filter((directive) => !isSpecifiedDirective(directive));
  const types = config.types.filter((type) => !isSpecifiedScalarType(type));
  return new GraphQLSchema({ ...config, directives, types });
};

test('introspection gives the same schema', async (t) => {
  const server = await Tandem.start();
  t.after(() => server.stop());
  const introspection = await server.run(getIntrospectionQuery({ inputValueDeprecation: true }));
  assertValidSchema(buildClientSchema(introspection));
  const introspected = withoutSpecified(buildClientSchema(introspection));
  const schema = withoutSpecified(await committed());
  for (const [from, to] of [[schema, introspected], [introspected, schema]]) {
    assert.deepEqual(findBreakingChanges(from, to), []);
    assert.deepEqual(findDangerousChanges(from, to), []);
  }
});
