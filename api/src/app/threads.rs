//! Threads of their own, for work that may want every processor for a long time.
//!
//! A runtime has one queue for all of its tasks: with thousands of deliveries in it, each step of a request waits behind
//! them. Between threads the system shares the processors. So webhooks are sent, replayed and removed by a runtime of their
//! own, whose threads stand back: somebody waits for the answer to a request.

use std::future::Future;
use std::io;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// How far the threads stand back, in the system's own measure: of a processor that others want as well they get a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on a runtime of its own, with a thread for each processor. What is given resolves when it has ended; not if
/// it has panicked, which is logged.
///
/// The runtime lives as long as anything in `tasks`, for others may use connections that were opened on it; and it ends at
/// once when the runtime that this is called on does.
///
/// # Errors
/// If the threads cannot be started.
pub(super) fn spawn<F>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
    tasks: &TaskTracker,
) -> io::Result<impl Future<Output = ()> + Send + 'static>
where
    F: Future<Output = ()>,
{
    let runtime = Builder::new_multi_thread().enable_all().thread_name(name).on_thread_start(stand_back).build()?;
    let (ended, ending) = oneshot::channel();
    let (alive, mut over) = oneshot::channel::<()>();
    let run = move || {
        stand_back();
        runtime.block_on(async move {
            tokio::select! {
                () = async { work().await } => {}
                _ = &mut over => return,
            }
            let _ = ended.send(());
            // Nothing is ever sent: the other end is dropped.
            let _ = over.await;
        });
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    let tasks = tasks.clone();
    tokio::spawn(async move {
        let _alive = alive;
        tasks.wait().await;
    });
    Ok(async move {
        if ending.await.is_err() {
            tracing::error!(thread = name, "work on a thread of its own has failed");
            std::future::pending::<()>().await;
        }
    })
}

/// Lets the threads of others go first. Only Linux gives each thread a niceness of its own.
fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread cannot stand back");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), future).await.expect("it comes soon")
    }

    #[tokio::test]
    async fn work_runs_elsewhere_and_its_runtime_outlives_it() {
        let tasks = TaskTracker::new();
        let token = tasks.token();
        let (say, said) = oneshot::channel();
        let (handle, runtime) = oneshot::channel();
        let work = move || async move {
            let _ = say.send(std::thread::current().name().map(str::to_owned));
            let _ = handle.send(tokio::runtime::Handle::current());
        };
        let ended = spawn("elsewhere", work, &tasks).unwrap();
        assert_eq!(soon(said).await.unwrap().as_deref(), Some("elsewhere"));
        soon(ended).await;
        let runtime = runtime.await.unwrap();
        assert_eq!(soon(runtime.spawn(async { 7 })).await.unwrap(), 7);
        tasks.close();
        drop(token);
        soon(async {
            while runtime.spawn(async {}).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_stand_back() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let (tasks, (say, said)) = (TaskTracker::new(), oneshot::channel());
        let work = move || async move {
            let of_a_worker = tokio::spawn(async move { niceness() }).await.unwrap();
            let _ = say.send([niceness(), of_a_worker]);
        };
        let usual = niceness();
        soon(spawn("back", work, &tasks).unwrap()).await;
        assert_eq!(soon(said).await.unwrap(), [NICENESS; 2]);
        assert_eq!(niceness(), usual);
    }

    #[test]
    fn it_ends_with_the_runtime_that_it_was_called_on() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (working, dropped) = std::sync::mpsc::channel::<()>();
        runtime.block_on(async {
            let work = move || async move {
                let _working = working;
                std::future::pending::<()>().await;
            };
            drop(spawn("forever", work, &TaskTracker::new()).unwrap());
        });
        assert!(dropped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty));
        drop(runtime);
        let disconnected = dropped.recv_timeout(Duration::from_secs(30)).unwrap_err();
        assert_eq!(disconnected, std::sync::mpsc::RecvTimeoutError::Disconnected);
    }
}
