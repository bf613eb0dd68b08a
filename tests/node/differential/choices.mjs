// What documents may select and ask for when their responses are compared: what the shop in memory knows.

const ROOTS = ['node', 'nodes', 'viewer', 'customer', 'customers', 'product', 'products', 'order', 'orders', 'changes'];
const PAGES = ['nodes', 'edges', 'pageInfo', 'totalCount', 'asOf'];
const ROWS = {
  Customer: ['id', 'email', 'name', 'orders', 'createdAt', 'updatedAt', 'version'],
  Product: ['id', 'sku', 'name', 'price', 'stock', 'tags', 'cost', 'orderLines', 'createdAt', 'updatedAt', 'version'],
  Order: ['id', 'number', 'status', 'note', 'customer', 'lines', 'createdAt', 'updatedAt', 'version'],
  OrderLine: ['id', 'order', 'product', 'quantity', 'unitPrice', 'createdAt', 'updatedAt', 'version'],
};
const CHANGES = ['after', 'before'];
// The type of the rows in a list, by the field that gives it.
const LISTS = { customers: 'Customer', products: 'Product', orders: 'Order', orderLines: 'OrderLine', lines: 'OrderLine' };

/** The options of a request over this shop. */
export function choices(random, shop) {
  const ids = Object.values(shop.rows).flat().map((row) => row.id);
  const id = (r) => (ids.length > 0 && r.chance(0.9) ? r.pick(ids) : 'product_00000000000000000000000000');
  const allow = (type, { name }) => {
    if (type.name === 'Query') return ROOTS.includes(name);
    if (type.name.endsWith('Connection')) return PAGES.includes(name);
    if (type.name.endsWith('Snapshot')) return name !== 'orderLines';
    if (type.name === 'ProductChange') return true;
    if (type.name.endsWith('Change')) return !CHANGES.includes(name);
    return ROWS[type.name]?.includes(name) ?? true;
  };
  const argument = (type, field, { name }) => {
    const isRoot = type.name === 'Query';
    switch (name) {
      case 'id':
        return id;
      case 'ids':
        return (r) => Array.from({ length: r.below(5) }, () => (r.chance(0.1) ? 'x' : id(r)));
      case 'by':
        return (r) => key(r, shop.rows[field.type.name], id);
      case 'first':
      case 'last':
        if (isRoot) return (r) => r.pick([0, 1, 2, 3, 50, null, -1, 1001]);
        // What is wrong below a list has a path of its own in each row, which Tandem does not know: it has read nothing yet.
        // So there is nothing wrong here, and never both of them.
        return (name === 'last') === (field.name === 'orderLines') ? (r) => r.pick([0, 1, 2, 3, 50, null]) : undefined;
      case 'after':
      case 'before':
        if (field.name === 'changes' || !isRoot || !LISTS[field.name]) return undefined;
        return (r) => r.pick([...(shop.cursors[LISTS[field.name]] ?? []).map(([cursor]) => cursor), null, 'x']);
      case 'filter':
        return LISTS[field.name] && ((r) => filter(r, shop, LISTS[field.name], 0));
      case 'kinds':
        return (r) => r.pick([['CREATED'], ['UPDATED', 'DELETED'], 'CREATED', [], null]);
      default:
        return undefined;
    }
  };
  return { operations: ['query'], allow, argument };
}

function key(random, rows, id) {
  const row = rows.length > 0 && random.chance(0.9) ? random.pick(rows) : {};
  const keys = ['sku', 'email', 'number'].filter((name) => name in row);
  if (keys.length === 0 || random.chance(0.3)) return { id: row.id ?? id(random) };
  return { [keys[0]]: row[keys[0]] };
}

const RELATED = { OrderLine: { order: 'Order', product: 'Product' }, Order: { customer: 'Customer' } };
const FIELDS = {
  Customer: ['id', 'email', 'name', 'version'],
  Product: ['id', 'sku', 'name', 'price', 'stock', 'tags', 'version', 'createdAt'],
  Order: ['id', 'number', 'status', 'note', 'version'],
  OrderLine: ['id', 'quantity', 'unitPrice', 'version'],
};

function filter(random, shop, type, depth) {
  const parts = {};
  if (depth < 3 && random.chance(0.25)) parts.and = listed(random, shop, type, depth);
  if (depth < 3 && random.chance(0.25)) parts.or = listed(random, shop, type, depth);
  if (depth < 3 && random.chance(0.2)) parts.not = filter(random, shop, type, depth + 1);
  for (const [name, other] of Object.entries(RELATED[type] ?? {})) {
    if (depth < 3 && random.chance(0.2)) parts[name] = filter(random, shop, other, depth + 1);
  }
  for (const name of random.some(FIELDS[type], 0.15)) parts[name] = test(random, shop.rows[type], name);
  return parts;
}

function listed(random, shop, type, depth) {
  if (random.chance(0.2)) return filter(random, shop, type, depth + 1);
  return Array.from({ length: random.below(3) }, () => filter(random, shop, type, depth + 1));
}

function test(random, rows, name) {
  const row = rows.length > 0 ? random.pick(rows) : undefined;
  const value = row?.[name] ?? null;
  // A comparison with null is refused.
  if (value === null || random.chance(0.2)) return { isNull: random.chance(0.5) };
  if (name === 'tags') return random.pick([{ has: value[0] ?? 'x' }, { isEmpty: random.chance(0.5) }]);
  const tests = [{ eq: value }, { neq: value }, { in: random.chance(0.5) ? [value] : value }, { notIn: [value] }, { eq: value, neq: value }];
  if (typeof value === 'number') tests.push({ lt: value }, { gte: value });
  return random.pick(tests);
}
