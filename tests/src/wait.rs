//! Waiting for conditions, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long one thing may take before the test fails. Generous: it bounds a failure, it measures nothing.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer. Panics with `what` after [`DEADLINE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("waited {DEADLINE:?} in vain: {what}");
}

/// Awaits a future, but panics with `what` after [`DEADLINE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}
