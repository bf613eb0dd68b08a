// Documents with their variables, made by chance from a schema: good ones, and ones with a few faults.

import {
  GraphQLNonNull,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  parseType,
  typeFromAST,
} from 'graphql';

import { literal, right, wrong } from './values.mjs';

const MOST_LEVELS = 5;

/**
 * One request. `faults` says how many mistakes are tried; some of them turn out to be none.
 *
 * What a document may select is all of the schema, unless `allow(type, field)` and `argument(type, field, argument)` say
 * otherwise; the latter gives a function that makes the JSON of an argument, or nothing where it is left out. With
 * `introspection`, `__schema` and `__type` are among the root fields.
 */
export function request(random, schema, options = {}) {
  return new Writer(random, schema, options).request();
}

class Writer {
  constructor(random, schema, { faults = 0, operations = ['query'], allow = () => true, argument, introspection = false }) {
    Object.assign(this, { random, schema, faults, operations, allow, argument, introspection });
    this.values = {};
    this.fragments = new Map();
    this.serial = 0;
  }

  /** Whether to make a mistake here. */
  fault(probability = 0.06) {
    if (this.faults === 0 || !this.random.chance(probability)) return false;
    this.faults -= 1;
    return true;
  }

  request() {
    const { random } = this;
    const several = random.chance(0.12);
    const operations = Array.from({ length: several ? 2 + random.below(2) : 1 }, (_, i) => {
      const anonymous = several ? this.fault(0.2) : random.chance(0.5);
      const name = several && this.fault(0.2) ? 'Op0' : `Op${i}`;
      return { name: anonymous ? undefined : name, text: this.operation(anonymous ? '' : name) };
    });
    const parts = [...operations.map((operation) => operation.text), ...this.fragmentTexts()];
    if (random.chance(0.2)) parts.reverse();
    if (this.fault(0.03)) parts.push('fragment Unused on Query { __typename }');
    if (this.fault(0.02)) parts.push('type Extra { a: Int }');
    let operationName = random.pick(operations).name;
    if (!several && random.chance(0.5)) operationName = undefined;
    if (this.fault(0.08)) operationName = random.pick(['Nothing', undefined, 'Op1']);
    const query = parts.join(random.pick(['\n', ' ', '\n# a comment, with "quotes"\n', ',']));
    if (random.chance(0.1)) this.values.nobodyAskedForThis = [1, { a: null }];
    return { query: this.faults > 0 && random.chance(0.15) ? this.damaged(query) : query, variables: this.values, operationName };
  }

  /** A text with something missing, doubled or added. */
  damaged(text) {
    const { random } = this;
    const tokens = text.split(/(\s+|[{}()[\]:!$@|&=,]|\.\.\.|"(?:\\.|[^"\\])*")/).filter((token) => token !== '');
    const at = random.below(tokens.length);
    const other = random.pick(['{', '}', '(', ')', '[', ']', '!', '$', '@', ':', '...', '"', '"""', '&', '0', '-', '.', 'on', 'null', '1.', '00', '\\', '%', '\u0007', '🧭']);
    const damage = random.pick([[], [tokens[at], tokens[at]], [other], [other, tokens[at]]]);
    return [...tokens.slice(0, at), ...damage, ...tokens.slice(at + 1)].join('');
  }

  operation(name) {
    const { random } = this;
    const kind = random.pick(this.operations);
    const root = { query: this.schema.getQueryType(), mutation: this.schema.getMutationType(), subscription: this.schema.getSubscriptionType() }[kind];
    this.declared = new Map();
    this.prefix = `v${this.serial++}`;
    const directives = this.fault(0.02) ? random.pick([' @skip(if: true)', ' @nothing', ' @deprecated']) : '';
    const selection = kind === 'subscription' && !this.fault(0.2) ? this.oneField(root) : this.selection(root, 0);
    if (this.fault(0.04)) this.declared.set('unused', { type: 'Int' });
    if (this.fault(0.02)) this.declared.delete([...this.declared.keys()][0]);
    const variables = [...this.declared].map(([variable, { type, fallback }]) => `$${variable}: ${type}${fallback === undefined ? '' : ` = ${fallback}`}`);
    if (variables.length > 0 && this.fault(0.02)) variables.push(variables[0]);
    const head = variables.length > 0 ? `(${variables.join(', ')})` : '';
    if (kind === 'query' && name === '' && head === '' && directives === '' && random.chance(0.7)) return selection;
    return `${kind} ${name}${head}${directives} ${selection}`;
  }

  /** The fragments that are spread so far; making one may need more. */
  fragmentTexts() {
    const texts = [];
    for (const [name, { type, body }] of this.fragments) texts.push(`fragment ${name} on ${type} ${body}`);
    return texts;
  }

  oneField(root) {
    return `{ ${this.field(root, this.random.pick(this.fields(root)), 0)} }`;
  }

  fields(type) {
    if (!type.getFields) return [];
    const fields = Object.values(type.getFields()).filter((field) => this.allow(type, field));
    return this.introspection && type === this.schema.getQueryType() ? [...fields, SchemaMetaFieldDef, TypeMetaFieldDef] : fields;
  }

  selection(type, level) {
    const { random } = this;
    if (this.fault(0.01)) return '{}';
    const fields = this.fields(type);
    const parts = [];
    const count = 1 + random.below(level < 2 ? 4 : 3);
    for (let i = 0; i < count; i += 1) {
      if (random.chance(0.12) || fields.length === 0) parts.push(this.typename());
      else if (random.chance(isAbstractType(type) ? 0.6 : 0.14) && level < MOST_LEVELS) parts.push(this.fragment(type, level));
      else {
        const flat = fields.filter((field) => !isCompositeType(getNamedType(field.type)));
        parts.push(this.field(type, random.pick(level >= MOST_LEVELS - 1 && flat.length > 0 ? flat : fields), level));
      }
    }
    if (this.fault(0.03)) parts.push(random.pick(['nothing', '...Nothing', '__schemas', 'id: nothing', '... on Nothing { id }', '__typename(x: 1)']));
    return `{ ${parts.join(random.pick([' ', '\n  ', ', ']))} }`;
  }

  typename() {
    return `${this.random.pick(['', '', 'kindOf: ', '_: '])}__typename${this.directives()}`;
  }

  field(type, field, level) {
    const { random } = this;
    const named = getNamedType(field.type);
    const alias = random.chance(0.2) ? `${random.pick(['a', 'b', 'id', `x${this.serial++}`])}: ` : '';
    let below = '';
    if (isCompositeType(named)) below = this.fault(0.02) ? '' : ` ${level >= MOST_LEVELS ? '{ __typename }' : this.selection(named, level + 1)}`;
    else if (this.fault(0.01)) below = ' { id }';
    return `${alias}${field.name}${this.fieldArguments(type, field)}${this.directives()}${below}`;
  }

  fieldArguments(type, field) {
    const { random } = this;
    const given = [];
    for (const argument of field.args) {
      const make = this.argument?.(type, field, argument);
      if (this.argument && !make) continue;
      if (!isRequiredArgument(argument) && !random.chance(0.4)) continue;
      if (isRequiredArgument(argument) && this.fault(0.1)) continue;
      given.push(`${argument.name}: ${this.value(argument.type, argument.defaultValue !== undefined, make)}`);
    }
    if (this.fault(0.02)) given.push('nothing: 1');
    if (given.length > 0 && this.fault(0.02)) given.push(given[0]);
    return given.length > 0 ? `(${given.join(', ')})` : '';
  }

  /** A value of an argument: a variable, a literal, or a literal with variables in it. */
  value(type, hasDefault, make) {
    const { random } = this;
    const json = () => (make ? make(random) : this.fault(0.25) ? wrong(random, type) : right(random, type));
    if (random.chance(0.35)) return this.variable(type, hasDefault, json);
    const value = json();
    if (!make && random.chance(0.3)) return this.withVariable(type, value);
    return literal(random, type, value, this.fault(0.1) ? 0.5 : 0);
  }

  /** A literal with a variable in the place of one of its parts. */
  withVariable(type, value) {
    const { random } = this;
    const bare = getNullableType(type);
    if (value === null || typeof value !== 'object') return literal(random, type, value);
    if (Array.isArray(value)) {
      if (value.length === 0) return literal(random, type, value);
      // A list may be the value of a custom scalar. Then its items have the same type, and may be null.
      const inner = isListType(bare) ? bare.ofType : bare;
      const at = random.below(value.length);
      const part = (item, i) => (i === at ? this.variable(inner, false, () => item) : literal(random, inner, item));
      return `[${value.map(part).join(', ')}]`;
    }
    const names = Object.keys(value);
    if (names.length === 0) return literal(random, type, value);
    const at = random.pick(names);
    if (!isInputObjectType(bare)) {
      const inside = (name) => (name === at ? this.variable(bare, false, () => value[name]) : literal(random, undefined, value[name]));
      return `{${names.map((name) => `${name}: ${inside(name)}`).join(', ')}}`;
    }
    const fields = bare.getFields();
    const part = (name) => {
      const field = fields[name];
      if (!field) return literal(random, undefined, value[name]);
      if (name !== at) return literal(random, field.type, value[name]);
      if (random.chance(0.5)) return this.withVariable(field.type, value[name]);
      // A field of a @oneOf input object takes variables that cannot be null.
      const needed = bare.isOneOf && !this.fault(0.2) ? new GraphQLNonNull(getNullableType(field.type)) : field.type;
      return this.variable(needed, field.defaultValue !== undefined, () => value[name]);
    };
    return `{${names.map((name) => `${name}: ${part(name)}`).join(', ')}}`;
  }

  /** Declares a variable that fits the place, and gives it a value. */
  variable(type, hasDefault, json) {
    const { random } = this;
    if (this.fault(0.05)) return '$undeclared';
    const name = `${this.prefix}_${this.serial++}`;
    const bare = getNullableType(type);
    let declared = random.chance(0.3) ? `${bare}!` : String(type);
    let fallback;
    const any = () => (this.argument ? json() : right(random, type));
    const simple = literal(random, type, any());
    if (random.chance(0.3)) fallback = simple === 'null' && random.chance(0.7) ? undefined : simple;
    if (isNonNullType(type) && (fallback !== undefined || hasDefault) && fallback !== 'null' && random.chance(0.6)) declared = String(bare);
    if (this.fault(0.08)) declared = random.pick(['Int', 'String', 'Int!', 'Nothing', 'Product', `[${bare}]`, String(bare), '[ID!]', 'ID']);
    if (declared.endsWith('!') && fallback === 'null' && !this.fault(0.3)) fallback = undefined;
    this.declared.set(name, { type: declared, fallback });
    const required = declared.endsWith('!') && fallback === undefined;
    if (required ? this.fault(0.1) : random.chance(0.25)) return `$${name}`;
    if (this.fault(0.06)) this.values[name] = null;
    else if (this.fault(0.1)) this.values[name] = wrong(random, type);
    else {
      const value = json();
      const actual = typeFromAST(this.schema, parseType(declared));
      this.values[name] = value === null && actual && isNonNullType(actual) ? any() : value;
    }
    return `$${name}`;
  }

  fragment(type, level) {
    const { random, schema } = this;
    const directives = this.directives();
    if (random.chance(0.2)) return `...${directives} ${this.selection(type, level + 1)}`;
    let possible = isAbstractType(type)
      ? schema.getPossibleTypes(type)
      : [type, ...type.getInterfaces()];
    possible = possible.filter((one) => this.fields(one).length > 0);
    if (this.fault(0.05)) possible = [schema.getQueryType(), schema.getType('Int'), schema.getType('PageInfo')];
    const on = random.pick(possible.length > 0 ? possible : [type]);
    if (random.chance(0.6)) return `... on ${on}${directives} ${this.selection(on, level + 1)}`;
    const known = [...this.fragments].filter(([, fragment]) => fragment.type === on.name && fragment.body !== undefined && fragment.prefix === this.prefix);
    if (known.length > 0 && random.chance(0.5)) return `...${random.pick(known)[0]}${directives}`;
    const name = `F${this.fragments.size}`;
    const fragment = { type: on.name, body: undefined, prefix: this.prefix };
    this.fragments.set(name, fragment);
    const body = isCompositeType(on) ? this.selection(on, level + 1) : '{ __typename }';
    fragment.body = this.fault(0.02) ? `{ ...${name} }` : body;
    return `...${name}${directives}`;
  }

  directives() {
    const { random } = this;
    if (this.fault(0.01)) return random.pick([' @skip', ' @nothing', ' @skip(if: "x")', ' @include(if: null)', ' @skip(if: true) @skip(if: true)', ' @oneOf', ' @include(unless: true)']);
    if (!random.chance(0.08)) return '';
    const condition = random.chance(0.5) ? String(random.chance(0.5)) : this.variable(new GraphQLNonNull(this.schema.getType('Boolean')), false, () => random.chance(0.5));
    return ` @${random.pick(['skip', 'include'])}(if: ${condition})`;
  }
}
