// Operations as a client of the shipped store writes them, for the tools that compile them.

const PRODUCT = `
  fragment ToolsProduct on Product { id sku name price stock tags updatedAt version }
`;

const ORDER = `
  fragment ToolsOrder on Order {
    id number status note
    customer { id email name }
    lines(first: 10, orderBy: [{ unitPrice: DESC }]) { nodes { id quantity unitPrice product { ...ToolsProduct } } }
  }
`;

/** Documents that any client can send. */
export const documents = [
  PRODUCT,
  ORDER,
  `query ToolsProductsQuery($first: Int = 20, $after: String, $filter: ProductFilter, $orderBy: [ProductOrder!]) {
    products(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { ...ToolsProduct } }
      pageInfo { hasNextPage endCursor }
      totalCount
      asOf
    }
  }`,
  `query ToolsNodeQuery($id: ID!, $ids: [ID!]!, $withOrders: Boolean!) {
    node(id: $id) { __typename id ... on Product { sku name } ... on Order { number status } }
    nodes(ids: $ids) { __typename id }
    customer(by: { email: "ada@example.com" }) @include(if: $withOrders) {
      orders(filter: { status: { in: [PLACED, PAID] } }) { nodes { ...ToolsOrder } }
    }
    viewer { sub roles }
  }`,
  `mutation ToolsCreateProductMutation($input: CreateProductInput!) {
    createProduct(input: $input) {
      product { ...ToolsProduct }
      change { cursor kind changedFields }
      userErrors { code message path }
    }
  }`,
  `subscription ToolsProductChangedSubscription($after: String) {
    productChanged(after: $after, filter: { stock: { lt: 10 } }, kinds: [CREATED, UPDATED]) {
      cursor kind transition nodeId after { ...ToolsProduct } before { sku stock }
    }
  }`,
  `subscription ToolsChangesSubscription {
    changes(events: ["product.*", "order.created"]) {
      __typename cursor nodeId type
      ... on ProductChange { after { sku stock } }
    }
  }`,
];

/** What only Relay's compiler understands: pages that grow, and fragments that can be fetched again. */
export const relayDocuments = [
  `fragment ToolsCatalog_query on Query
    @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
    @refetchable(queryName: "ToolsCatalogPaginationQuery") {
    products(first: $count, after: $cursor, orderBy: [{ name: ASC }]) @connection(key: "ToolsCatalog_products") {
      edges { node { ...ToolsProduct } }
    }
  }`,
  `query ToolsCatalogQuery { ...ToolsCatalog_query }`,
  `fragment ToolsCustomer_customer on Customer @refetchable(queryName: "ToolsCustomerRefetchQuery") { id email name }`,
  `query ToolsCustomerQuery($by: CustomerBy!) { customer(by: $by) { ...ToolsCustomer_customer } }`,
  `mutation ToolsDeleteProductMutation($input: DeleteProductInput!, $connections: [ID!]!) {
    deleteProduct(input: $input) {
      deletedProductId @deleteEdge(connections: $connections)
      userErrors { code path }
    }
  }`,
];
