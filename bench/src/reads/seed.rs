//! A shop: customers, products, and orders of ten lines each. Its rows are not in the log, which reads do not look at.

use anyhow::{Context, Result};
use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

/// Customers, and as many products.
pub const CUSTOMERS: u64 = 10_000;
/// Lines of an order.
pub const LINES: u64 = 10;
/// Of the seeded orders; those that are created later count from 1.
const FIRST_NUMBER: u64 = 1_000_000_000;
/// Milliseconds since 1970 of the first row of each kind; a row each millisecond.
const START: u64 = 1_750_000_000_000;

/// What a row is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Customer = 1,
    Product = 2,
    Order = 3,
    Line = 4,
}

/// The id of the nth row of a kind, as the statements below make it: a UUIDv7.
pub fn id(kind: Kind, nth: u64) -> Uuid {
    let (time, kind, nth) = (u128::from(START + nth), kind as u128, u128::from(nth));
    Uuid::from_u128(time << 80 | 0x7 << 76 | kind << 64 | 0x8 << 60 | nth)
}

/// Fills the empty tables of the store that ships.
pub async fn fill(url: &str, orders: u64) -> Result<()> {
    let is_sqlite = url.starts_with("sqlite:");
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.context("cannot fill the shop")?;
    let statements = if is_sqlite { sqlite(orders) } else { postgres(orders) };
    for statement in statements {
        connection.execute_unprepared(&statement).await.with_context(|| format!("in: {statement}"))?;
    }
    connection.close().await?;
    Ok(())
}

/// The words in which the databases differ.
struct Words {
    /// An id, of a kind and an expression.
    id: fn(Kind, &str) -> String,
    /// Rows `n` from 0.
    rows: fn(u64) -> String,
    price: &'static str,
    /// A time, `n` milliseconds after the start.
    time: String,
    digits: &'static str,
}

fn postgres(orders: u64) -> Vec<String> {
    let words = Words {
        id: |kind, n| {
            let (kind, n) = (kind as u64, format!("CAST({n} AS bigint)"));
            format!("CAST(lpad(to_hex({START}+{n}),12,'0')||'700{kind}8'||lpad(to_hex({n}),15,'0') AS uuid)")
        },
        rows: |count| format!("generate_series(CAST(0 AS bigint),{count}-1) AS r(n)"),
        price: "12.50",
        time: format!("to_timestamp(({START}+n)/1000.0)"),
        digits: "lpad(CAST(n AS text),8,'0')",
    };
    // As the database's own upkeep does a while after so much was written.
    inserts(&words, orders).into_iter().chain(["VACUUM ANALYZE".to_owned()]).collect()
}

fn sqlite(orders: u64) -> Vec<String> {
    let words = Words {
        id: |kind, n| format!("unhex(printf('%012x700{}8%015x',{START}+{n},{n}))", kind as u64),
        rows: |count| {
            format!("(WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM r WHERE n+1<{count}) SELECT n FROM r)")
        },
        price: "1250",
        time: format!("({START}+n)*1000"),
        digits: "printf('%08d',n)",
    };
    inserts(&words, orders)
}

fn inserts(words: &Words, orders: u64) -> Vec<String> {
    let Words { id, rows, price, time, digits } = words;
    let lines = orders * LINES;
    let other = |kind, count: u64| id(kind, &format!("((n*7919)%{count})"));
    vec![
        format!(
            "INSERT INTO customer (id,user_id,email,name,created_at,updated_at,version) SELECT {},'user-'||n,\
             'user-'||n||'@example.com','Customer '||n,{time},{time},1 FROM {}",
            id(Kind::Customer, "n"),
            rows(CUSTOMERS),
        ),
        format!(
            "INSERT INTO product (id,sku,name,price,stock,tags,created_at,updated_at,version) SELECT {},\
             'SKU-'||{digits},'A thing that is sold a lot',{price},n%100,'[]',{time},{time},1 FROM {}",
            id(Kind::Product, "n"),
            rows(CUSTOMERS),
        ),
        format!(
            "INSERT INTO \"order\" (id,number,status,customer_id,created_at,updated_at,version) SELECT {},\
             {FIRST_NUMBER}+n,CASE (n/{CUSTOMERS}+n)%5 WHEN 0 THEN 'DRAFT' WHEN 1 THEN 'PLACED' WHEN 2 THEN 'PAID' WHEN 3 THEN \
             'SHIPPED' ELSE 'CANCELLED' END,{},{time},{time},1 FROM {}",
            id(Kind::Order, "n"),
            other(Kind::Customer, CUSTOMERS),
            rows(orders),
        ),
        format!(
            "INSERT INTO order_line (id,order_id,product_id,quantity,unit_price,created_at,updated_at,version) \
             SELECT {},{},{},2,{price},{time},{time},1 FROM {}",
            id(Kind::Line, "n"),
            id(Kind::Order, &format!("(n/{LINES})")),
            other(Kind::Product, CUSTOMERS),
            rows(lines),
        ),
    ]
}
