//! The tree as people build it with the same parts: a schema by hand with async-graphql, whose `DataLoader` brings what is
//! asked for together, over SeaORM's entities, with `IN` for each level.
//!
//! No rights are checked and no cursors are made; entities have only the columns that are shown. A page continues after an id.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use async_graphql::{
    ComplexObject, Context, EmptyMutation, EmptySubscription, ID, Object, Request, Schema, SimpleObject, Variables,
};
use sea_orm::{
    ColumnTrait, ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::json;
use tandem::catalog::type_id;
use uuid::Uuid;

use super::batched::QUERY;
use super::entities::{customer, line, order, product};
use super::seed::{Kind, id};

/// The API, and the database behind it.
pub struct Loaders {
    schema: Schema<Query, EmptyMutation, EmptySubscription>,
    shop: Shop,
}

impl Loaders {
    /// With as many connections as Tandem reads with.
    pub async fn connect(url: &str) -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16));
        let mut options = ConnectOptions::new(url);
        options.max_connections(if url.starts_with("sqlite:") { processors as u32 } else { 16 });
        options.sqlx_logging(false).test_before_acquire(false);
        let shop = Shop(Database::connect(options).await.context("cannot read the shop")?);
        Ok(Self { schema: Schema::new(Query, EmptyMutation, EmptySubscription), shop })
    }

    /// The whole response; the orders after the nth.
    pub async fn tree(&self, nth: u64) -> Result<Vec<u8>> {
        let loader = DataLoader::new(self.shop.clone(), TokioSpawner::current(), TokioTimer::default());
        let after = json!({ "after": type_id::format("order", id(Kind::Order, nth)) });
        let request = Request::new(QUERY).variables(Variables::from_json(after)).data(loader);
        let response = self.schema.execute(request).await;
        ensure!(response.errors.is_empty(), "not what was asked for: {:?}", response.errors);
        Ok(serde_json::to_vec(&response)?)
    }
}

/// Reads what is asked for together.
#[derive(Clone)]
struct Shop(DatabaseConnection);

#[derive(Clone, PartialEq, Eq, Hash)]
struct CustomerId(Uuid);

#[derive(Clone, PartialEq, Eq, Hash)]
struct LinesOf(Uuid);

#[derive(Clone, PartialEq, Eq, Hash)]
struct ProductId(Uuid);

impl Loader<CustomerId> for Shop {
    type Value = Customer;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[CustomerId]) -> Result<HashMap<CustomerId, Customer>, Arc<DbErr>> {
        let ids = keys.iter().map(|key| key.0);
        let rows = customer::Entity::find().filter(customer::Column::Id.is_in(ids)).all(&self.0).await?;
        Ok(rows.into_iter().map(|row| (CustomerId(row.id), Customer::of(row))).collect())
    }
}

impl Loader<LinesOf> for Shop {
    type Value = Vec<Line>;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[LinesOf]) -> Result<HashMap<LinesOf, Vec<Line>>, Arc<DbErr>> {
        let orders = keys.iter().map(|key| key.0);
        let find = line::Entity::find().filter(line::Column::OrderId.is_in(orders));
        let rows = find.order_by_asc(line::Column::OrderId).order_by_asc(line::Column::Id).all(&self.0).await?;
        let mut lines: HashMap<LinesOf, Vec<Line>> = HashMap::with_capacity(keys.len());
        for row in rows {
            lines.entry(LinesOf(row.order_id)).or_default().push(Line::of(row, self.0.get_database_backend()));
        }
        Ok(lines)
    }
}

impl Loader<ProductId> for Shop {
    type Value = Product;
    type Error = Arc<DbErr>;

    async fn load(&self, keys: &[ProductId]) -> Result<HashMap<ProductId, Product>, Arc<DbErr>> {
        let ids = keys.iter().map(|key| key.0);
        let rows = product::Entity::find().filter(product::Column::Id.is_in(ids)).all(&self.0).await?;
        let backend = self.0.get_database_backend();
        Ok(rows.into_iter().map(|row| (ProductId(row.id), Product::of(row, backend))).collect())
    }
}

struct Query;

#[Object]
impl Query {
    async fn orders(
        &self,
        context: &Context<'_>,
        first: u64,
        after: Option<String>,
    ) -> async_graphql::Result<OrderConnection> {
        let shop = context.data::<DataLoader<Shop>>()?.loader();
        let mut find = order::Entity::find().order_by_asc(order::Column::Id).limit(first);
        if let Some(after) = after {
            let (_, after) = type_id::parse(&after).ok_or("after is the id of an order")?;
            find = find.filter(order::Column::Id.gt(after));
        }
        Ok(OrderConnection { nodes: find.all(&shop.0).await?.into_iter().map(Order::of).collect() })
    }
}

#[derive(SimpleObject)]
struct OrderConnection {
    nodes: Vec<Order>,
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct Order {
    id: ID,
    number: String,
    status: String,
    #[graphql(skip)]
    key: Uuid,
    #[graphql(skip)]
    customer_id: Uuid,
}

#[ComplexObject]
impl Order {
    async fn customer(&self, context: &Context<'_>) -> async_graphql::Result<Option<Customer>> {
        Ok(context.data::<DataLoader<Shop>>()?.load_one(CustomerId(self.customer_id)).await?)
    }

    async fn lines(&self, context: &Context<'_>, first: usize) -> async_graphql::Result<LineConnection> {
        let lines = context.data::<DataLoader<Shop>>()?.load_one(LinesOf(self.key)).await?;
        let mut nodes = lines.unwrap_or_default();
        nodes.truncate(first);
        Ok(LineConnection { nodes })
    }
}

#[derive(Clone, SimpleObject)]
struct Customer {
    id: ID,
    name: Option<String>,
    email: String,
}

#[derive(SimpleObject)]
struct LineConnection {
    nodes: Vec<Line>,
}

#[derive(Clone, SimpleObject)]
#[graphql(complex)]
struct Line {
    id: ID,
    quantity: i32,
    unit_price: String,
    #[graphql(skip)]
    product_id: Uuid,
}

#[ComplexObject]
impl Line {
    async fn product(&self, context: &Context<'_>) -> async_graphql::Result<Option<Product>> {
        Ok(context.data::<DataLoader<Shop>>()?.load_one(ProductId(self.product_id)).await?)
    }
}

#[derive(Clone, SimpleObject)]
struct Product {
    id: ID,
    sku: String,
    name: String,
    price: String,
}

impl Order {
    fn of(row: order::Model) -> Self {
        let order::Model { id, number, status, customer_id } = row;
        let number = number.to_string();
        Self { id: type_id::format("order", id).into(), number, status, key: id, customer_id }
    }
}

impl Customer {
    fn of(customer::Model { id, name, email }: customer::Model) -> Self {
        Self { id: type_id::format("customer", id).into(), name, email }
    }
}

impl Line {
    fn of(row: line::Model, backend: DbBackend) -> Self {
        let line::Model { id, quantity, unit_price, product_id, .. } = row;
        let unit_price = price(unit_price, backend);
        Self { id: type_id::format("order_line", id).into(), quantity, unit_price, product_id }
    }
}

impl Product {
    fn of(product::Model { id, sku, name, price: written }: product::Model, backend: DbBackend) -> Self {
        Self { id: type_id::format("product", id).into(), sku, name, price: price(written, backend) }
    }
}

/// SQLite has it in cents.
fn price(written: String, backend: DbBackend) -> String {
    match (backend, written.split_at_checked(written.len().saturating_sub(2))) {
        (DbBackend::Sqlite, Some((whole, cents))) => format!("{whole}.{cents}"),
        _ => written,
    }
}
