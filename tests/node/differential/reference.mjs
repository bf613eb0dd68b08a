// What graphql-js makes of a request.

import {
  __Directive,
  __Schema,
  GraphQLError,
  Kind,
  OperationTypeNode,
  execute,
  getArgumentValues,
  getNamedType,
  getOperationAST,
  isCompositeType,
  isInputObjectType,
  parse,
  specifiedRules,
  validate,
  visit,
} from 'graphql';
import { assertValidExecutionArguments, buildExecutionContext } from 'graphql/execution/execute.js';
import { collectFields, collectSubfields } from 'graphql/execution/collectFields.js';

// What is younger than the specification.
__Schema.getFields().directives.args.length = 0;
delete __Directive.getFields().isDeprecated;
delete __Directive.getFields().deprecationReason;

/** How far a request gets: the stage that refuses it, with its errors, or what execution needs. */
export function prepare(schema, { query, variables, operationName }) {
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return { stage: 'parse', errors: [error] };
  }
  const errors = validated(schema, document);
  if (errors.length > 0) return { stage: 'validate', errors };
  const operation = getOperationAST(document, operationName);
  if (!operation) return { stage: 'request', errors: [new GraphQLError('There is no such operation.')] };
  if (operation.operation === OperationTypeNode.SUBSCRIPTION) {
    return { stage: 'request', errors: [new GraphQLError('A subscription needs another transport.')] };
  }
  assertValidExecutionArguments(schema, document, variables);
  const context = buildExecutionContext({ schema, document, variableValues: variables, operationName });
  if (!('schema' in context)) return { stage: 'request', errors: context };
  if (hasNullCondition(context)) return { stage: 'request', errors: [new GraphQLError('A condition is null.')] };
  return { stage: 'execute', document, context };
}

/**
 * What validation finds, by the rules of graphql-js save two that depart from the specification:
 *
 * - Single root field: it evaluates @skip and @include at the root of a subscription with no variables, and fails inside.
 *   Both are an error there (https://spec.graphql.org/September2025/#sec-Single-Root-Field).
 * - All variable usages are allowed: it overlooks nullable variables in fields of a @oneOf input object whose own type is
 *   non-null or an item of a list, and refuses those that have a default, which IsVariableUsageAllowed allows
 *   (https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed).
 *
 * For field selection merging, texts are the same however they are quoted: it compares them as they are written.
 */
function validated(schema, document) {
  const conditional = document.definitions
    .filter((definition) => definition.operation === OperationTypeNode.SUBSCRIPTION)
    .some((definition) => isConditional(document, definition.selectionSet, new Set()));
  if (conditional) return [new GraphQLError('@skip and @include cannot stand here.')];
  const plain = visit(document, { StringValue: (node) => ({ ...node, block: false }) });
  const errors = validate(schema, plain, [...specifiedRules, OneOfVariablesRule]);
  return errors.filter((error) => !error.message.includes('must be non-nullable to be used for OneOf'));
}

/**
 * Whether @skip or @include gets a null, by a variable that has a default. The specification leaves it open; graphql-js
 * fails at the field around it, Tandem before anything runs.
 */
function hasNullCondition({ operation, fragments, variableValues }) {
  let found = false;
  const seen = new Set();
  const look = (node) => visit(node, {
    Directive({ name, arguments: [condition] }) {
      const isCondition = name.value === 'skip' || name.value === 'include';
      found ||= isCondition && condition.value.kind === Kind.VARIABLE && variableValues[condition.value.name.value] === null;
    },
    FragmentSpread({ name }) {
      if (!seen.has(name.value)) look(seen.add(name.value) && fragments[name.value]);
    },
  });
  look(operation);
  return found;
}

/** The part of IsNonNullPosition that is about @oneOf input objects. */
function OneOfVariablesRule(context) {
  return {
    OperationDefinition(operation) {
      const declared = new Map(operation.variableDefinitions.map((definition) => [definition.variable.name.value, definition]));
      for (const { node, parentType } of context.getRecursiveVariableUsages(operation)) {
        const definition = declared.get(node.name.value);
        const parent = parentType && getNamedType(parentType);
        if (!definition || !isInputObjectType(parent) || !parent.isOneOf) continue;
        const hasDefault = definition.defaultValue !== undefined && definition.defaultValue.kind !== Kind.NULL;
        if (definition.type.kind !== Kind.NON_NULL_TYPE && !hasDefault) {
          context.reportError(new GraphQLError(`$${node.name.value} may be null.`, { nodes: [node] }));
        }
      }
    },
  };
}

function isConditional(document, { selections }, seen) {
  return selections.some((selection) => {
    if (selection.directives.some(({ name }) => name.value === 'skip' || name.value === 'include')) return true;
    if (selection.kind === 'Field') return false;
    if (selection.kind === 'InlineFragment') return isConditional(document, selection.selectionSet, seen);
    const fragment = document.definitions.find((one) => one.kind === 'FragmentDefinition' && one.name.value === selection.name.value);
    if (!fragment || seen.has(fragment)) return false;
    return isConditional(document, fragment.selectionSet, seen.add(fragment));
  });
}

/** The coerced arguments of every field that has some, by path; and the root fields with arguments that are refused. */
export function coercedArguments({ context }) {
  const { schema, fragments, variableValues, operation } = context;
  const args = {};
  const refused = new Set();
  const visit = (type, fields, above, root) => {
    for (const [key, nodes] of fields) {
      const path = above ? `${above}.${key}` : key;
      const definition = fieldOf(schema, type, nodes[0].name.value);
      const named = getNamedType(definition.type);
      if (isCompositeType(named)) {
        visit(named, collectSubfields(schema, fragments, variableValues, named, nodes), path, root ?? key);
      }
      try {
        const coerced = getArgumentValues(definition, nodes[0], variableValues);
        if (Object.keys(coerced).length > 0) args[path] = coerced;
      } catch (error) {
        refused.add(root ?? key);
      }
    }
  };
  const root = schema.getRootType(operation.operation);
  visit(root, collectFields(schema, fragments, variableValues, root, operation.selectionSet), '', undefined);
  return { args, refused };
}

const TYPENAME = { type: undefined, args: [] };

function fieldOf(schema, type, name) {
  const meta = {
    __typename: { ...TYPENAME, type: schema.getType('String') },
    __schema: { type: schema.getType('__Schema'), args: [] },
    __type: schema.getQueryType() && { type: schema.getType('__Type'), args: [{ name: 'name', type: schema.getType('String') }] },
  };
  return meta[name] ?? type.getFields()[name];
}

/** The response of graphql-js. */
export async function run(schema, { document }, { variables, operationName }, contextValue) {
  const result = await execute({ schema, document, variableValues: variables, operationName, contextValue });
  return JSON.parse(JSON.stringify(result));
}
