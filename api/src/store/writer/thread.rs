//! A thread that writes, with a connection of its own.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Answers};
use super::intake::Intake;
use crate::catalog::Catalog;
use crate::database::{self, Database, WriterConnection};
use crate::log::Hub;

/// Batches that are done and whose answers are not given yet. When there are more, the thread waits.
const UNANSWERED_BATCHES: usize = 8;

/// What every thread works with.
#[derive(Clone)]
pub(super) struct Parts {
    pub database: Database,
    pub catalog: Arc<Catalog>,
    pub hub: Hub,
}

/// Starts a thread that does what comes in. What is given resolves when it has ended; until then the runtime is needed.
///
/// # Errors
/// If the database cannot be opened for writing.
pub(super) async fn start(
    name: &'static str,
    parts: Parts,
    intake: Intake,
) -> Result<impl Future<Output = ()> + Send + 'static, database::Error> {
    let (opened, opening) = oneshot::channel();
    let (alive, ended) = oneshot::channel::<()>();
    // Its own runtime: the answers of PostgreSQL arrive on the thread that waits for them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| database::Error::Other(format!("the writer's runtime cannot be started: {e}")))?;
    // To wake whoever waits takes longer than to write its row, so it is left to a task, which ends with the thread.
    let (answers, unanswered) = mpsc::channel(UNANSWERED_BATCHES);
    let answering = tokio::spawn(answer(unanswered));
    let serve = move || {
        let _alive = alive;
        let _fuse = Fuse;
        runtime.block_on(async move {
            let connection = match WriterConnection::open(&parts.database).await {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            let _ = opened.send(Ok(()));
            run(&connection, &parts, intake, &answers).await;
        });
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(serve)
        .map_err(|e| database::Error::Other(format!("the writer's thread cannot be started: {e}")))?;
    opening.await.map_err(|_| database::Error::Other("the writer's thread has ended".to_owned()))??;
    Ok(async move {
        // Nothing is ever sent: the thread drops its end. Then what it has done is answered.
        let _ = ended.await;
        if let Err(error) = answering.await {
            tracing::error!(%error, "the task that answers what is written has failed");
        }
    })
}

/// Ends the process if the thread panics: a server that answers reads and can never write again is worse than one that
/// starts anew, which loses nothing.
struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the writer has panicked; the process ends, to be started again");
            std::process::abort();
        }
    }
}

async fn run(connection: &WriterConnection, parts: &Parts, mut intake: Intake, answers: &mpsc::Sender<Answers>) {
    while let Some(jobs) = intake.next().await {
        let batch = batch::run(connection, &parts.catalog, jobs).await;
        if !batch.events().is_empty() {
            parts.hub.written(batch.events());
        }
        // The task is gone only if the runtime of those who wait is gone, and they with it.
        let _ = answers.send(batch).await;
    }
}

async fn answer(mut batches: mpsc::Receiver<Answers>) {
    while let Some(batch) = batches.recv().await {
        batch.give();
    }
}
