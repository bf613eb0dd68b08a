// The shipped store in the memory of graphql-js: the rows that one caller sees in Tandem, and resolvers over them.

import { GraphQLError, buildSchema } from 'graphql';

const LINE = 'id quantity unitPrice createdAt updatedAt version product { id } order { id }';
const ORDER = `id number status note createdAt updatedAt version customer { id } lines(first: 100) { nodes { ${LINE} } }`;
const ROWS = `{
  customers(first: 100) { nodes { id email name createdAt updatedAt version } edges { cursor node { id } } }
  products(first: 100) { nodes { id sku name price stock tags createdAt updatedAt version } edges { cursor node { id } } }
  orders(first: 100) { nodes { ${ORDER} } edges { cursor node { id } } }
}`;
const CHANGE = 'id cursor kind type nodeId version changedFields occurredAt transactionId transition position by';
const PRODUCT = 'id sku name price stock tags createdAt updatedAt version';
// What only some may read is asked for only by them.
const costs = (cost) => `{ products(first: 100) { nodes { id ${cost} } } changes(first: 1000) { nodes {
  __typename ${CHANGE} ... on ProductChange { after { ${PRODUCT} ${cost} } before { ${PRODUCT} ${cost} } } } } }`;

/** Fills an empty server, as callers who may. */
export async function fill(server, { admin, users }) {
  const input = async (mutation, value, bearer) => {
    const data = await server.run(`mutation($input: ${mutation[0].toUpperCase()}${mutation.slice(1)}Input!) {
      ${mutation}(input: $input) { ${mutation.slice(6).toLowerCase()} { id } userErrors { code } } }`, { input: value }, bearer);
    return Object.values(data[mutation])[0].id;
  };
  const products = [];
  for (const [sku, price, more] of [
    ['SKU-1', '9.90', { tags: ['red', 'new'], stock: 12, cost: '4.00' }],
    ['SKU-2', '0.00', { tags: [], stock: 0 }],
    ['SKU-3', '120.05', { tags: ['red'], stock: 3, cost: '99.99' }],
    ['A-MUG', '9.90', { stock: 12 }],
  ]) {
    products.push(await input('createProduct', { sku, name: `Product ${sku}`, price, ...more }, admin));
  }
  await server.run('mutation($id: ID!) { updateProduct(input: {id: $id, patch: {stock: 5, cost: null}}) { userErrors { code } } }', { id: products[0] }, admin);
  for (const [index, bearer] of users.entries()) {
    const customerId = await input('createCustomer', { email: `user${index}@example.com`, name: index === 0 ? 'Ada' : null }, bearer);
    for (let number = 0; number < 3 - index; number += 1) {
      const lines = products.slice(number, number + 2).map((productId, i) => ({ productId, quantity: 1 + i, unitPrice: '9.90' }));
      const order = { customerId, note: number === 0 ? 'as a present' : null, status: number === 1 ? 'PLACED' : 'DRAFT', lines: { create: lines } };
      await input('createOrder', order, bearer);
    }
  }
}

/** What a caller sees. */
export async function snapshot(server, bearer, { sub = null, roles = [] }) {
  const data = await server.run(ROWS, {}, bearer);
  const isAdmin = roles.includes('admin');
  const shop = { sub, roles, isAdmin, rows: { Customer: [], Product: [], Order: [], OrderLine: [] }, cursors: {} };
  for (const [list, type] of [['customers', 'Customer'], ['products', 'Product'], ['orders', 'Order']]) {
    shop.rows[type] = data[list].nodes.map((row) => ({ __typename: type, ...row }));
    shop.cursors[type] = data[list].edges.map(({ cursor, node }) => [cursor, node.id]);
  }
  for (const order of shop.rows.Order) {
    order.customerId = order.customer?.id ?? null;
    for (const line of order.lines.nodes) {
      shop.rows.OrderLine.push({ __typename: 'OrderLine', ...line, orderId: line.order.id, productId: line.product.id });
    }
  }
  shop.rows.OrderLine.sort((a, b) => (a.id < b.id ? -1 : 1));
  const { products, changes: log } = await server.run(costs(isAdmin ? 'cost' : ''), {}, bearer);
  for (const product of shop.rows.Product) product.cost = products.nodes.find(({ id }) => id === product.id).cost;
  return { ...shop, changes: log.nodes };
}

const refuse = (code) => {
  throw new GraphQLError(code, { extensions: { code } });
};

// Which field of which rows points at the parent, and where to-one fields lead.
const LISTS = { orders: ['Order', 'customerId'], orderLines: ['OrderLine', 'productId'], lines: ['OrderLine', 'orderId'] };
const ONES = { customer: 'Customer', product: 'Product', order: 'Order' };

/** The schema with resolvers, which work on the shop in the context. */
export function executable(sdl) {
  const schema = buildSchema(sdl);
  const set = (type, resolvers) => {
    for (const [name, resolve] of Object.entries(resolvers)) schema.getType(type).getFields()[name].resolve = resolve;
  };
  const byId = (shop, id) => Object.values(shop.rows).flat().find((row) => row.id === id) ?? null;
  const related = (type) => (row, _, shop) => shop.rows[type].find(({ id }) => id === row[`${type.toLowerCase()}Id`]) ?? null;
  const list = (name) => {
    const [type, via] = LISTS[name];
    return (row, args, shop) => connection(shop, type, shop.rows[type].filter((one) => one[via] === row.id), args);
  };
  const root = (type) => (_, args, shop) => connection(shop, type, shop.rows[type], args);
  const one = (type) => (_, { by }, shop) => {
    const [[name, value]] = Object.entries(by);
    return shop.rows[type].find((row) => String(row[name]) === String(value)) ?? null;
  };
  set('Query', {
    node: (_, { id }, shop) => byId(shop, id),
    nodes: (_, { ids }, shop) => ids.map((id) => byId(shop, id)),
    viewer: (_, args, { sub, roles }) => ({ sub, roles }),
    customers: root('Customer'), products: root('Product'), orders: root('Order'),
    customer: one('Customer'), product: one('Product'), order: one('Order'),
    changes: (_, args, shop) => changes(shop, args),
  });
  set('Customer', { orders: list('orders') });
  set('Product', { orderLines: list('orderLines'), cost });
  set('ProductSnapshot', { cost });
  set('Order', { lines: list('lines'), customer: related('Customer') });
  set('OrderLine', { order: related('Order'), product: related('Product') });
  for (const type of Object.values(ONES)) schema.getType(`${type}Connection`).getFields().asOf.resolve = () => 'masked';
  schema.getType('OrderLineConnection').getFields().asOf.resolve = () => 'masked';
  return schema;
}

function cost(product, _, shop) {
  return shop.isAdmin ? product.cost : refuse('FORBIDDEN');
}

function pageSize({ first, last }) {
  if (first != null && last != null) refuse('BAD_USER_INPUT');
  const size = first ?? last ?? 50;
  if (size < 0 || size > 1000) refuse('BAD_USER_INPUT');
  return size;
}

function connection(shop, type, all, args) {
  const size = pageSize(args);
  const matching = all.filter((row) => matches(shop, row, args.filter ?? {}));
  const at = (cursor) => {
    const known = shop.cursors[type]?.find(([text]) => text === cursor);
    return known ? known[1] : refuse('CURSOR_INVALID');
  };
  let rows = matching;
  if (args.after != null) {
    const id = at(args.after);
    rows = rows.filter((row) => row.id > id);
  }
  if (args.before != null) {
    const id = at(args.before);
    rows = rows.filter((row) => row.id < id);
  }
  const isBackward = args.last != null;
  const hasMore = rows.length > size;
  rows = isBackward ? rows.slice(Math.max(0, rows.length - size)) : rows.slice(0, size);
  const edges = rows.map((node) => ({ cursor: 'masked', node }));
  const cursor = rows.length > 0 ? 'masked' : null;
  const pageInfo = {
    hasNextPage: isBackward ? args.before != null : hasMore,
    hasPreviousPage: isBackward ? hasMore : args.after != null,
    startCursor: cursor,
    endCursor: cursor,
  };
  return { edges, nodes: rows, pageInfo, totalCount: matching.length };
}

function changes(shop, args) {
  const size = pageSize(args);
  const matching = shop.changes.filter((change) => !args.kinds || args.kinds.includes(change.kind));
  const nodes = matching.slice(0, size);
  // The log goes on, so its page has an end even if there is nothing on it.
  const pageInfo = {
    hasNextPage: matching.length > size,
    hasPreviousPage: false,
    startCursor: nodes.length > 0 ? 'masked' : null,
    endCursor: 'masked',
  };
  return { edges: nodes.map((node) => ({ cursor: 'masked', node })), nodes, pageInfo };
}

/** Two-valued: a comparison with a field that is null is false. */
function matches(shop, row, filter) {
  return Object.entries(filter).every(([name, test]) => {
    if (name === 'and') return test.every((one) => matches(shop, row, one));
    if (name === 'or') return test.some((one) => matches(shop, row, one));
    if (name === 'not') return !matches(shop, row, test);
    if (ONES[name]) {
      const other = shop.rows[ONES[name]].find(({ id }) => id === row[`${name}Id`]);
      return other !== undefined && matches(shop, other, test);
    }
    return Object.entries(test).every(([operator, value]) => holds(operator, row[name], value));
  });
}

function holds(operator, field, value) {
  if (operator === 'isNull') return (field === null) === value;
  if (field === null) return false;
  switch (operator) {
    case 'eq': return field === value;
    case 'neq': return field !== value;
    case 'in': return value.includes(field);
    case 'notIn': return !value.includes(field);
    case 'lt': return field < value;
    case 'gte': return field >= value;
    case 'has': return field.includes(value);
    case 'isEmpty': return (field.length === 0) === value;
    default: throw new Error(`${operator} is not known here`);
  }
}
