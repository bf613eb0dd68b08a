//! Counts tests in the output of the test runners.

/// How many tests passed and how many did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Ran and passed.
    pub passed: u32,
    /// Ran and failed, or could not be run.
    pub failed: u32,
    /// Left out. Nothing may be, so the caller treats these as an error.
    pub skipped: u32,
}

impl Count {
    /// Adds what a line of a runner's output says, which for most lines is nothing.
    pub fn see(&mut self, runner: Runner, line: &str) {
        let found = match runner {
            Runner::Nextest => nextest(line),
            Runner::CargoTest => cargo_test(line),
            Runner::Node => node(line),
            Runner::Unittest => unittest(line),
        };
        if let Some(found) = found {
            self.add(found);
        }
    }

    /// Sums up.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Whose output it is.
#[derive(Debug, Clone, Copy)]
pub enum Runner {
    /// `cargo nextest run`
    Nextest,
    /// `cargo test`
    CargoTest,
    /// `node --test --test-reporter=tap`
    Node,
    /// `python -m unittest --verbose`
    Unittest,
}

/// `     Summary [   0.006s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 3 skipped`
fn nextest(line: &str) -> Option<Count> {
    let (_, rest) = line.trim_start().strip_prefix("Summary [")?.split_once(']')?;
    let (run, rest) = rest.split_once(':')?;
    // "4/7 tests run" when the run was cut short: the others did not run, and that is no success.
    let all = run.split_whitespace().next()?.rsplit('/').next()?.parse::<u32>().ok()?;
    let mut count = Count::default();
    for (number, what) in parts(rest) {
        match what.as_str() {
            "passed" => count.passed += number,
            "skipped" => count.skipped += number,
            _ => {}
        }
    }
    count.failed = all.saturating_sub(count.passed);
    Some(count)
}

/// `test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn cargo_test(line: &str) -> Option<Count> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut count = Count::default();
    for (number, what) in parts(rest) {
        match what.as_str() {
            "passed" => count.passed += number,
            "failed" => count.failed += number,
            "ignored" => count.skipped += number,
            _ => {}
        }
    }
    Some(count)
}

/// `# pass 3`, `# fail 1`, `# cancelled 0`, `# skipped 0`, `# todo 0`
fn node(line: &str) -> Option<Count> {
    let (what, number) = line.strip_prefix("# ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    match what {
        "pass" => Some(Count { passed: number, ..Count::default() }),
        "fail" | "cancelled" => Some(Count { failed: number, ..Count::default() }),
        "skipped" | "todo" => Some(Count { skipped: number, ..Count::default() }),
        _ => None,
    }
}

/// `test_name (module.Class.test_name) ... ok`, or `... FAIL`, `... ERROR`, `... skipped 'why'`
fn unittest(line: &str) -> Option<Count> {
    let (test, outcome) = line.rsplit_once(" ... ")?;
    if !test.starts_with("test_") {
        return None;
    }
    match outcome {
        "ok" => Some(Count { passed: 1, ..Count::default() }),
        skipped if skipped.starts_with("skipped") => Some(Count { skipped: 1, ..Count::default() }),
        _ => Some(Count { failed: 1, ..Count::default() }),
    }
}

/// The `number what` pairs of a list; what stands in parentheses explains a number and is no number of its own.
fn parts(list: &str) -> Vec<(u32, String)> {
    let mut depth = 0_u32;
    let plain = list.chars().filter(|c| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    });
    let plain: String = plain.collect();
    let pair = |part: &str| {
        let (number, what) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, what.trim().to_owned()))
    };
    plain.split([',', ';']).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: Runner, lines: &[&str], passed: u32, failed: u32, skipped: u32) {
        let mut count = Count::default();
        for line in lines {
            count.see(runner, line);
        }
        assert_eq!(count, Count { passed, failed, skipped }, "{lines:?}");
    }

    #[test]
    fn reads_nextest() {
        check(Runner::Nextest, &["     Summary [   0.006s] 3 tests run: 3 passed, 0 skipped"], 3, 0, 0);
        check(
            Runner::Nextest,
            &[
                "        PASS [   0.004s] xtask count::tests::reads_nextest",
                "     Summary [  61.006s] 9 tests run: 5 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 exec failed, 4 skipped",
            ],
            5,
            4,
            4,
        );
        check(Runner::Nextest, &["     Summary [   0.006s] 2/7 tests run: 1 passed, 1 failed, 0 skipped"], 1, 6, 0);
        check(Runner::Nextest, &["     Summary [   0.006s] 1 test run: 1 passed, 0 skipped"], 1, 0, 0);
    }

    #[test]
    fn reads_cargo_test() {
        check(
            Runner::CargoTest,
            &[
                "running 3 tests",
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ],
            4,
            2,
            1,
        );
    }

    #[test]
    fn reads_unittest() {
        check(
            Runner::Unittest,
            &[
                "test_a (test_webhooks.Webhooks.test_a) ... ok",
                "test_b (test_webhooks.Webhooks.test_b) ... FAIL",
                "test_c (test_webhooks.Webhooks.test_c) ... ERROR",
                "test_d (test_webhooks.Webhooks.test_d) ... skipped 'no'",
                "Ran 4 tests in 2.138s",
                "FAILED (failures=1, errors=1, skipped=1)",
            ],
            1,
            2,
            1,
        );
    }

    #[test]
    fn reads_node() {
        check(
            Runner::Node,
            &[
                "# Subtest: a",
                "ok 1 - a",
                "# tests 5",
                "# pass 3",
                "# fail 1",
                "# cancelled 1",
                "# skipped 0",
                "# todo 0",
            ],
            3,
            2,
            0,
        );
    }
}
