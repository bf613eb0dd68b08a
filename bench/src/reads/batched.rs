//! The tree of three levels in two ways, to the same bytes: by Tandem, and level by level as data loaders do it.
//!
//! The loader has everything that makes it fast: prepared statements with `IN` over the same connections, only the
//! columns that are shown, no rights, no GraphQL, and an assembly that writes bytes at once.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use tandem::app::parts::Parts;
use tandem::auth::Principal;
use tandem::catalog::datum::write_text;
use tandem::catalog::type_id;
use tandem::database::{Database, Dialect, Record, Sql};
use tandem::schema::Request;
use uuid::Uuid;

use super::seed::{Kind, id};

/// Orders of a tree.
pub const ORDERS: u64 = 20;

/// The tree.
pub const QUERY: &str = "query($after: String) { orders(first: 20, after: $after) { nodes { id number status customer { id \
                         name email } lines(first: 10) { nodes { id quantity unitPrice product { id sku name price } } } } } }";

/// What Tandem is asked for cursors.
pub fn cursor_query(plural: &str) -> String {
    format!("query($after: String) {{ {plural}(first: 1000, after: $after) {{ edges {{ cursor }} }} }}")
}

/// The cursors of all rows of a list, in the order of their ids, as `ask` gets them: cursors are the server's business.
pub async fn cursors(
    plural: &str,
    query: &str,
    count: u64,
    mut ask: impl AsyncFnMut(&str, Value) -> Result<Value>,
) -> Result<Vec<String>> {
    let mut cursors: Vec<String> = Vec::with_capacity(count as usize);
    while cursors.len() < count as usize {
        let answer = ask(query, json!({ "after": cursors.last() })).await?;
        let edges = answer[plural]["edges"].as_array().filter(|edges| !edges.is_empty());
        let edges = edges.with_context(|| format!("{plural} end too early: {answer}"))?;
        cursors.extend(edges.iter().filter_map(|edge| edge["cursor"].as_str()).map(str::to_owned));
    }
    Ok(cursors)
}

/// Somebody who may read all orders.
fn helper() -> Arc<Principal> {
    let claims = Map::from_iter([("sub".to_owned(), json!("helper"))]);
    let roles = vec!["support".to_owned()];
    Arc::new(Principal { sub: Some("helper".to_owned()), roles, claims, ..Principal::default() })
}

/// The response to a query, in process.
pub async fn ask(parts: &Parts, query: &str, variables: Value) -> Result<Value> {
    let Value::Object(variables) = variables else { bail!("variables are an object") };
    let request = Request { query: query.to_owned(), variables, ..Request::default() };
    let mut answer: Value = serde_json::from_slice(&parts.engine.execute(request, helper()).await.body)?;
    ensure!(answer.get("errors").is_none(), "not what was asked for: {answer}");
    Ok(answer["data"].take())
}

/// The whole response.
pub async fn by_tandem(parts: &Parts, after: &str) -> Result<Vec<u8>> {
    let variables = Map::from_iter([("after".to_owned(), Value::from(after))]);
    let request = Request { query: QUERY.to_owned(), variables, ..Request::default() };
    Ok(parts.engine.execute(request, helper()).await.body.to_vec())
}

struct Order {
    id: Uuid,
    number: i64,
    status: String,
    customer: Uuid,
}

struct Customer {
    name: Option<String>,
    email: String,
}

struct Line {
    id: Uuid,
    quantity: i64,
    price: String,
    product: Uuid,
}

struct Product {
    sku: String,
    name: String,
    price: String,
}

/// The whole response; the orders after the nth.
pub async fn by_level(database: &Database, nth: u64) -> Result<Vec<u8>> {
    let mut sql = Sql::new(database.dialect());
    sql.push("SELECT id,CAST(number AS bigint),status,customer_id FROM \"order\" WHERE id>").bind(id(Kind::Order, nth));
    sql.push(" ORDER BY id LIMIT ").bind(ORDERS as i64 + 1);
    let mut orders = Vec::with_capacity(ORDERS as usize + 1);
    for row in database.query(sql).await? {
        let (id, number) = (row.need_uuid(0)?, row.need_int(1)?);
        orders.push(Order { id, number, status: row.need_text(2)?, customer: row.need_uuid(3)? });
    }
    orders.truncate(ORDERS as usize);

    let mut customers = HashMap::with_capacity(orders.len());
    let ids = distinct(orders.iter().map(|order| order.customer));
    for row in database.query(by_ids(database, "SELECT id,name,email FROM customer WHERE id", &ids, "")).await? {
        customers.insert(row.need_uuid(0)?, Customer { name: row.text(1)?, email: row.need_text(2)? });
    }

    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::with_capacity(orders.len());
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    let price = price_column(database, "unit_price");
    let select =
        format!("SELECT order_id,id,CAST(quantity AS bigint),{price},product_id FROM order_line WHERE order_id");
    for row in database.query(by_ids(database, &select, &ids, " ORDER BY order_id,id")).await? {
        let (id, quantity) = (row.need_uuid(1)?, row.need_int(2)?);
        let line = Line { id, quantity, price: price_of(&row, database, 3)?, product: row.need_uuid(4)? };
        lines.entry(row.need_uuid(0)?).or_default().push(line);
    }

    let ids = distinct(lines.values().flatten().map(|line| line.product));
    let mut products = HashMap::with_capacity(ids.len());
    let select = format!("SELECT id,sku,name,{} FROM product WHERE id", price_column(database, "price"));
    for row in database.query(by_ids(database, &select, &ids, "")).await? {
        let (sku, name) = (row.need_text(1)?, row.need_text(2)?);
        products.insert(row.need_uuid(0)?, Product { sku, name, price: price_of(&row, database, 3)? });
    }
    assemble(&orders, &customers, &lines, &products)
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A statement whose text does not depend on how many ids there are where the database has a way to say so; SQLite's are
/// as many as ever.
fn by_ids(database: &Database, select: &str, ids: &[Uuid], order: &str) -> Sql {
    let mut sql = Sql::text(database.dialect(), select);
    match database.dialect() {
        Dialect::Sqlite => {
            sql.push(" IN (");
            sql.list(",", ids, |sql, id| {
                sql.bind(*id);
            });
        }
        Dialect::Postgres => {
            let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
            sql.push("=ANY(CAST(").bind(format!("{{{}}}", ids.join(","))).push(" AS uuid[])");
        }
    }
    sql.push(")").push(order);
    sql
}

fn price_column(database: &Database, column: &str) -> String {
    match database.dialect() {
        Dialect::Sqlite => column.to_owned(),
        Dialect::Postgres => format!("CAST({column} AS text)"),
    }
}

fn price_of(row: &Record, database: &Database, column: usize) -> Result<String> {
    Ok(match database.dialect() {
        Dialect::Sqlite => {
            let cents = row.need_int(column)?;
            format!("{}.{:02}", cents / 100, cents % 100)
        }
        Dialect::Postgres => row.need_text(column)?,
    })
}

fn assemble(
    orders: &[Order],
    customers: &HashMap<Uuid, Customer>,
    lines: &HashMap<Uuid, Vec<Line>>,
    products: &HashMap<Uuid, Product>,
) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut out = Vec::with_capacity(32 * 1024);
    out.extend_from_slice(b"{\"data\":{\"orders\":{\"nodes\":[");
    for (i, order) in orders.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",{\"id\":\"" } else { b"{\"id\":\"" });
        type_id::write("order", order.id, &mut out);
        write!(out, "\",\"number\":\"{}\",\"status\":", order.number)?;
        write_text(&mut out, &order.status);
        let customer = customers.get(&order.customer).context("an order has a customer")?;
        out.extend_from_slice(b",\"customer\":{\"id\":\"");
        type_id::write("customer", order.customer, &mut out);
        out.extend_from_slice(b"\",\"name\":");
        match &customer.name {
            Some(name) => write_text(&mut out, name),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"email\":");
        write_text(&mut out, &customer.email);
        out.extend_from_slice(b"},\"lines\":{\"nodes\":[");
        for (i, line) in lines.get(&order.id).into_iter().flatten().take(10).enumerate() {
            out.extend_from_slice(if i > 0 { b",{\"id\":\"" } else { b"{\"id\":\"" });
            type_id::write("order_line", line.id, &mut out);
            write!(out, "\",\"quantity\":{},\"unitPrice\":\"{}\",\"product\":{{\"id\":\"", line.quantity, line.price)?;
            type_id::write("product", line.product, &mut out);
            let product = products.get(&line.product).context("a line has a product")?;
            out.extend_from_slice(b"\",\"sku\":");
            write_text(&mut out, &product.sku);
            out.extend_from_slice(b",\"name\":");
            write_text(&mut out, &product.name);
            write!(out, ",\"price\":\"{}\"}}}}", product.price)?;
        }
        out.extend_from_slice(b"]}}");
    }
    out.extend_from_slice(b"]}}}");
    Ok(out)
}
