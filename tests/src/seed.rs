//! The beginning of everything random in a test.

/// The seed of a test: `TANDEM_TEST_SEED`, which repeats what an earlier run chose, or else a random one. It is printed,
/// and the runner shows it when the test fails.
pub fn seed() -> u64 {
    let given = std::env::var("TANDEM_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("TANDEM_TEST_SEED is a whole number"));
    eprintln!("TANDEM_TEST_SEED={seed}");
    seed
}
