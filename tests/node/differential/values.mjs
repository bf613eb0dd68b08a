// Values for input types, as literals and as JSON: mostly right, and wrong where a fault is asked for.

import {
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';

const INTS = [0, 1, 7, -1, 50, 2147483647, -2147483648];
const FLOATS = [0, 1, -1.5, 2.25e3, 1e-3];
const TEXTS = ['', 'x', 'SKU-1', 'Grüße 🧭', 'a"b\\c', 'tab\tand\nline', 'PLACED', '5', 'null', '\u0000'];
const SCALARS = {
  BigInt: ['0', '-5', '9007199254740993', 12, 'x'],
  Decimal: ['0', '12.50', '-0.01', 3, 1.5, 'x', ['1', null]],
  DateTime: ['2026-01-31T12:00:00.000000Z', '2026-01-31T12:00:00+01:00', 'yesterday', [null, { at: [null] }]],
  Date: ['2026-01-31', '31.1.2026'],
  UUID: ['01890a5d-ac96-774b-bcce-b302099a8057', 'x'],
  JSON: [null, true, 1, 2.5, 'x', [], [1, [2]], [null, [null]], {}, { a: { b: [null] } }],
};

/** A value that the type accepts, as JSON. */
export function right(random, type, depth = 0) {
  if (isNonNullType(type)) return rightNonNull(random, type.ofType, depth);
  return random.chance(0.12) ? null : rightNonNull(random, type, depth);
}

function rightNonNull(random, type, depth) {
  if (isListType(type)) {
    // A single value is a list of one, but null is no list of null.
    if (random.chance(0.2)) return rightNonNull(random, getNullableType(type.ofType), depth);
    const length = depth > 3 ? random.below(2) : random.below(4);
    return Array.from({ length }, () => right(random, type.ofType, depth + 1));
  }
  if (isEnumType(type)) return random.pick(type.getValues()).name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    if (type.isOneOf) {
      const flat = fields.filter((field) => depth < 3 || !isInputObjectType(getNullableType(field.type)));
      const field = random.pick(flat);
      return { [field.name]: rightNonNull(random, getNullableType(field.type), depth + 1) };
    }
    const probability = depth > 3 ? 0 : Math.min(0.5, 3 / fields.length);
    const chosen = fields.filter((field) => isRequiredInputField(field) || random.chance(probability));
    return Object.fromEntries(chosen.map((field) => [field.name, right(random, field.type, depth + 1)]));
  }
  switch (type.name) {
    case 'Int':
      return random.pick(INTS);
    case 'Float':
      return random.pick(FLOATS);
    case 'Boolean':
      return random.chance(0.5);
    case 'String':
      return random.pick(TEXTS);
    case 'ID':
      return random.pick(['x', '', 'product_00000000000000000000000000', 7, -1]);
    default:
      return random.pick(SCALARS[type.name] ?? ['x']);
  }
}

/** Places inside a value at which something can be spoiled: pairs of a type and a function that puts a value there. */
function places(type, value, put, found) {
  found.push([type, put, value]);
  const bare = getNullableType(type);
  if (isListType(bare) && Array.isArray(value)) {
    value.forEach((item, i) => places(bare.ofType, item, (other) => (value[i] = other), found));
  } else if (isInputObjectType(bare) && value !== null && typeof value === 'object') {
    const fields = bare.getFields();
    for (const [name, item] of Object.entries(value)) {
      if (fields[name]) places(fields[name].type, item, (other) => (value[name] = other), found);
    }
  }
  return found;
}

/** A value that the type mostly refuses, as JSON. */
export function wrong(random, type) {
  let value = structuredClone(right(random, type));
  const [spot, put, old] = random.pick(places(type, value, (other) => (value = other), []));
  put(spoiled(random, spot, old));
  return value;
}

function spoiled(random, type, old) {
  const bare = getNullableType(type);
  if (isNonNullType(type) && random.chance(0.3)) return null;
  if (isListType(bare)) return random.pick([[[old]], { a: 1 }, [null, old], [[[1]]]]);
  if (isInputObjectType(bare)) {
    const object = old !== null && typeof old === 'object' && !Array.isArray(old) ? old : {};
    const names = Object.keys(bare.getFields());
    const name = random.pick(names);
    const other = random.pick(names);
    return random.pick([
      'x',
      7,
      {},
      [object],
      { ...object, unknown: 1 },
      { ...object, [name]: null },
      { ...object, [name]: right(random, bare.getFields()[name].type), [other]: right(random, bare.getFields()[other].type) },
    ]);
  }
  if (isEnumType(bare)) return random.pick(['NOTHING', '', 7, true, ['x'], bare.getValues()[0].name.toLowerCase()]);
  switch (bare.name) {
    case 'Int':
      return random.pick([2147483648, -2147483649, 1.5, '1', true, {}, [1.5], 1e20]);
    case 'Float':
      return random.pick(['1', true, {}, ['x']]);
    case 'Boolean':
      return random.pick(['true', 1, 0, {}]);
    case 'String':
      return random.pick([1, true, {}, [1]]);
    case 'ID':
      return random.pick([1.5, true, {}, [true]]);
    default:
      return random.pick([{ a: 1 }, { a: [null] }, [1, 2], [null], [[null], 1], true]);
  }
}

/** JSON as a literal of the type. Where the type is an enum, texts are its values, unless a fault makes them texts. */
export function literal(random, type, value, fault = 0) {
  if (value === null) return 'null';
  const bare = type && getNullableType(type);
  if (Array.isArray(value)) {
    const item = bare && isListType(bare) ? bare.ofType : bare;
    return `[${value.map((one) => literal(random, item, one, fault)).join(random.pick([', ', ' ']))}]`;
  }
  if (bare && isListType(bare)) return literal(random, bare.ofType, value, fault);
  if (typeof value === 'object') {
    const fields = bare && isInputObjectType(bare) ? bare.getFields() : {};
    const parts = Object.entries(value).map(([name, one]) => `${name}: ${literal(random, fields[name]?.type, one, fault)}`);
    if (parts.length > 0 && random.chance(fault)) parts.push(random.pick(parts));
    return `{${parts.join(', ')}}`;
  }
  if (typeof value === 'string') {
    if (bare && isEnumType(bare) && /^[A-Za-z_]\w*$/.test(value) && !random.chance(fault)) return value;
    if (bare?.name === 'String' && random.chance(fault)) return /^[A-Z]+$/.test(value) ? value : 'WORD';
    return random.chance(0.15) ? block(value) : JSON.stringify(value);
  }
  return String(value);
}

function block(text) {
  // Only what a block string leaves as it is.
  return /^[\x20-\x7e]*$/.test(text) && !/^\s|\s$|"|\\/.test(text) ? `"""${text}"""` : JSON.stringify(text);
}
