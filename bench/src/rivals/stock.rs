//! The same subscription as people get it without Tandem: a schema by async-graphql, served by async-graphql-axum's own
//! subscription layer, fed by a broadcast channel.

use async_graphql::{Context, EmptyMutation, Object, Schema, SimpleObject, Subscription};
use async_graphql_axum::GraphQLSubscription;
use axum::Router;
use axum::serve::ListenerExt;
use futures_util::Stream;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender};

use super::{CAPACITY, control};

#[derive(Debug, Clone, Deserialize, SimpleObject)]
struct ProductChange {
    kind: String,
    cursor: String,
    after: Option<Product>,
}

#[derive(Debug, Clone, Deserialize, SimpleObject)]
struct Product {
    id: String,
    sku: String,
    name: String,
    price: String,
    stock: i32,
    version: i32,
}

struct Query;

#[Object]
impl Query {
    /// A schema has to have something to ask for.
    async fn is_there(&self) -> bool {
        true
    }
}

struct Live;

#[Subscription]
impl Live {
    /// From now on; there is nothing that could go on after a cursor.
    async fn product_changed(
        &self,
        context: &Context<'_>,
        #[graphql(name = "after")] _after: Option<String>,
    ) -> async_graphql::Result<impl Stream<Item = ProductChange>> {
        let changes = context.data::<Sender<ProductChange>>()?.subscribe();
        Ok(futures_util::stream::unfold(changes, |mut changes| async move {
            changes.recv().await.ok().map(|change| (change, changes))
        }))
    }
}

/// Serves until the process is killed.
pub(super) async fn serve() -> anyhow::Result<()> {
    let (listener, publishers) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{} {}", listener.local_addr()?, publishers.local_addr()?);
    let (changes, _) = broadcast::channel::<ProductChange>(CAPACITY);
    let schema = Schema::build(Query, EmptyMutation, Live).data(changes.clone()).finish();
    let app = Router::new().route_service("/graphql", GraphQLSubscription::new(schema));
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let publish = |line: &str| {
        // An error means that nobody listens.
        let _ = changes.send(serde_json::from_str(line)?);
        Ok(())
    };
    control::serve(publishers, publish, || changes.receiver_count()).await
}
