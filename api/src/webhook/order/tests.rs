//! The order against a model of its promises, whatever comes in whatever order.

use std::collections::HashSet;

use bytes::Bytes;
use entity::{DeliveryId, EventId, Position};
use proptest::prelude::*;

use super::*;

fn job(position: i64, node: u128) -> Job {
    Job {
        delivery: DeliveryId::new(),
        is_recorded: false,
        position: Position::new(position).unwrap(),
        message: EventId::new(),
        event: "product.updated".into(),
        sequence: Some(position),
        number: 1,
        before: 0,
        body: Bytes::from_static(b"{}"),
        node: Some(Uuid::from_u128(node)),
        batch: None,
    }
}

fn positions(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.position.get()).collect()
}

fn ready(order: &mut Order, position: i64, node: u128) -> Job {
    match order.admit(job(position, node)) {
        Admitted::Ready(job) => job,
        other => panic!("{position} is not ready: {other:?}"),
    }
}

#[test]
fn messages_of_a_node_go_one_after_the_other() {
    let mut order = Order::new(Ordering::PerNode, []);
    let first = ready(&mut order, 1, 7);
    order.sent(std::slice::from_ref(&first));
    assert!(matches!(order.admit(job(2, 7)), Admitted::Waiting));
    assert!(matches!(order.admit(job(3, 7)), Admitted::Waiting));
    ready(&mut order, 4, 8);
    assert!(order.take_next().is_none());
    let ended = order.ended(&[first], false);
    assert!(ended.held.is_empty() && ended.released.is_empty());
    let second = order.take_next().unwrap();
    assert_eq!(second.position.get(), 2);
    assert!(order.take_next().is_none());
    order.sent(std::slice::from_ref(&second));
    assert!(order.joins(second.node).is_none(), "nothing joins what is on its way");

    let ended = order.ended(std::slice::from_ref(&second), true);
    assert_eq!((positions(&ended.held), ended.released), (vec![3], vec![]));
    assert!(matches!(order.admit(job(5, 7)), Admitted::Held(_)));
    let again = Job { is_recorded: true, ..second };
    assert!(order.ended(std::slice::from_ref(&again), true).released.is_empty());
    for _ in 0..2 {
        let ended = order.ended(std::slice::from_ref(&again), false);
        assert_eq!(ended.released, [Release::OfNode(Uuid::from_u128(7))]);
        assert!(matches!(order.admit(job(6, 7)), Admitted::Held(_)));
        order.ended(std::slice::from_ref(&again), false);
    }
    assert!(order.ended(&[again], false).released.is_empty());
    ready(&mut order, 7, 7);
}

#[test]
fn strict_holds_everything_behind_what_failed() {
    let mut order = Order::new(Ordering::Strict, [(Uuid::from_u128(1), 2), (Uuid::from_u128(2), 1)]);
    assert!(!order.may_send() && !order.is_parallel());
    let again = Job { is_recorded: true, ..job(1, 1) };
    for _ in 0..2 {
        assert_eq!(order.ended(std::slice::from_ref(&again), false).released, [Release::OfWebhook]);
        assert!(!order.may_send());
    }
    assert!(order.ended(&[again], false).released.is_empty());
    assert!(order.may_send());
    let fresh = ready(&mut order, 4, 4);
    order.ended(&[fresh], true);
    assert!(!order.may_send());
}

#[test]
fn without_an_order_nothing_waits() {
    let mut order = Order::new(Ordering::None, [(Uuid::from_u128(1), 2)]);
    let first = ready(&mut order, 1, 1);
    order.sent(std::slice::from_ref(&first));
    ready(&mut order, 2, 1);
    assert!(order.may_send() && order.is_parallel() && !order.is_ordered());
    let ended = order.ended(&[first], true);
    assert!(ended.held.is_empty() && ended.released.is_empty());
    ready(&mut order, 3, 1);
}

#[test]
fn what_it_keeps_is_bounded() {
    let mut order = Order::new(Ordering::PerNode, []);
    let first = ready(&mut order, 1, 1);
    order.sent(&[first]);
    for i in 0..MAX_WAITING {
        assert!(order.has_room(), "{i}");
        order.admit(job(2 + i as i64, 1));
    }
    assert!(!order.has_room());

    let nodes = |count: usize| (0..count).map(|i| (Uuid::from_u128(i as u128 + 1), 1));
    let mut order = Order::new(Ordering::PerNode, nodes(MAX_HELD + 1));
    assert!(!order.has_room() && !order.must_begin_anew());
    for i in 0..MAX_HELD / 2 + 2 {
        let done = Job { is_recorded: true, ..job(1, i as u128 + 1) };
        order.ended(&[done], false);
        assert!(!order.has_room(), "what is not known may hold anything");
    }
    assert!(order.must_begin_anew());
}

/// What a run may do next.
#[derive(Debug, Clone)]
enum Step {
    /// An event of this node is in the log.
    Append(u8),
    /// Something is sent, as many as this together at most.
    Send(usize),
    /// A request ends.
    End { which: prop::sample::Index, succeeds: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..4).prop_map(Step::Append),
        3 => (1usize..4).prop_map(Step::Send),
        3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, succeeds)| Step::End { which, succeeds }),
    ];
    prop::collection::vec(step, 0..200)
}

/// A pending row as the database would hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    position: i64,
    node: Uuid,
    is_due: bool,
    /// The first position of the request that it was sent in.
    batch: Option<i64>,
}

#[derive(Debug, Default)]
struct Rows(Vec<Pending>);

impl Rows {
    fn release(&mut self, release: Release) {
        let is_of = |node: &Uuid| match release {
            Release::OfNode(of) => *node == of,
            Release::OfWebhook => true,
        };
        self.0.sort_unstable();
        if let Some(row) = self.0.iter_mut().find(|row| is_of(&row.node)) {
            row.is_due = true;
        }
    }
}

fn waiting(job: &Job) -> Pending {
    Pending { position: job.position.get(), node: job.node.unwrap(), is_due: false, batch: None }
}

#[derive(Debug)]
struct Run {
    order: Order,
    rows: Rows,
    log: VecDeque<Job>,
    in_flight: Vec<Vec<Job>>,
    received: Vec<(i64, Uuid)>,
    appended: i64,
}

impl Run {
    /// The fresh messages of one request, as a worker gathers them.
    fn gather(&mut self, most: usize) -> Vec<Job> {
        let mut ready: Vec<Job> = Vec::new();
        while ready.len() < most {
            let job = match self.order.take_next() {
                Some(job) => job,
                None => match self.log.pop_front().map(|job| self.order.admit(job)) {
                    None => break,
                    Some(Admitted::Ready(job)) => job,
                    Some(Admitted::Waiting) => continue,
                    Some(Admitted::Held(job)) => {
                        self.rows.0.push(waiting(&job));
                        continue;
                    }
                },
            };
            let node = job.node;
            ready.push(job);
            while ready.len() < most
                && let Some(job) = self.order.joins(node)
            {
                ready.push(job);
            }
        }
        ready
    }

    fn send(&mut self, most: usize) {
        let is_away = |position: i64| self.in_flight.iter().flatten().any(|job| job.position.get() == position);
        if !self.order.is_parallel() && !self.in_flight.is_empty() {
            return;
        }
        let due = self.rows.0.iter().find(|row| row.is_due && !is_away(row.position)).copied();
        let again = |row: &Pending| Job { is_recorded: true, node: Some(row.node), ..job(row.position, 0) };
        let jobs = match due {
            Some(due) => {
                let is_with = |row: &&Pending| **row == due || (row.batch.is_some() && row.batch == due.batch);
                let mut jobs: Vec<_> = self.rows.0.iter().filter(is_with).map(again).collect();
                jobs.sort_unstable_by_key(|job| job.position);
                jobs
            }
            None if self.order.may_send() => self.gather(most),
            None => return,
        };
        if !jobs.is_empty() {
            self.order.sent(&jobs);
            self.in_flight.push(jobs);
        }
    }

    fn end(&mut self, which: prop::sample::Index, succeeds: bool) {
        if self.in_flight.is_empty() {
            return;
        }
        let jobs = self.in_flight.swap_remove(which.index(self.in_flight.len()));
        let ended = self.order.ended(&jobs, !succeeds);
        for job in &jobs {
            let (position, node) = (job.position.get(), job.node.unwrap());
            if succeeds {
                self.rows.0.retain(|row| row.position != position);
                self.received.push((position, node));
            } else if !job.is_recorded {
                self.rows.0.push(Pending { position, node, is_due: true, batch: Some(jobs[0].position.get()) });
            }
        }
        self.rows.0.extend(ended.held.iter().map(waiting));
        ended.released.into_iter().for_each(|release| self.rows.release(release));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(node) => {
                self.appended += 1;
                self.log.push_back(job(self.appended, u128::from(node) + 1));
            }
            Step::Send(most) => self.send(most),
            Step::End { which, succeeds } => self.end(which, succeeds),
        }
    }
}

fn check(ordering: Ordering, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let order = Order::new(ordering, []);
    let mut run = Run {
        order,
        rows: Rows::default(),
        log: VecDeque::new(),
        in_flight: Vec::new(),
        received: Vec::new(),
        appended: 0,
    };
    for step in steps {
        run.step(step);
    }
    // From now on everything succeeds, and all of it must arrive.
    for _ in 0..3 * run.appended + 1 {
        run.send(1);
        run.end(any_index(), true);
    }
    let received: HashSet<i64> = run.received.iter().map(|(position, _)| *position).collect();
    prop_assert_eq!((received.len() as i64, run.received.len() as i64), (run.appended, run.appended));
    let mut last: HashMap<Uuid, i64> = HashMap::new();
    for (position, node) in run.received {
        let key = if ordering == Ordering::Strict { ALL } else { node };
        let before = last.insert(key, position);
        prop_assert!(before.is_none_or(|before| before < position), "{position} after {before:?}");
    }
    prop_assert!(run.order.held.is_empty() && run.order.busy.is_empty(), "{:?}", run.order);
    prop_assert_eq!((run.order.waiting, run.order.waiting_bytes), (0, 0));
    Ok(())
}

fn any_index() -> prop::sample::Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<prop::sample::Index>().new_tree(&mut runner).expect("every index is one").current()
}

proptest! {
    #[test]
    fn nothing_overtakes_within_a_node(steps in steps()) {
        check(Ordering::PerNode, steps)?;
    }

    #[test]
    fn nothing_overtakes_at_all(steps in steps()) {
        check(Ordering::Strict, steps)?;
    }
}
