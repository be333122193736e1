//! Randomness of tests: from a seed that a failure prints, with the command that repeats it.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// The seed of this run: `GGML_AGENT_SEED`, or 1.
pub(crate) fn seed() -> u64 {
    let given = std::env::var_os("GGML_AGENT_SEED");
    let number = given.map(|text| text.to_str().and_then(|text| text.parse().ok()));
    number.map_or(1, |number| number.expect("GGML_AGENT_SEED is a number from 0 to 2^64 - 1"))
}

/// The command that repeats the test `name` with `seed`.
pub(crate) fn repeat(name: &str, seed: u64) -> String {
    format!("GGML_AGENT_SEED={seed} cargo test -p ggml-agent-core --all-features {name}")
}

/// Runs `test` on `n_cases` values of `strategy` and shrinks the first failure.
pub(crate) fn check<S: Strategy>(
    name: &str,
    n_cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = seed();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: n_cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    if let Err(error) = TestRunner::new_with_rng(config, rng).run(strategy, test) {
        panic!("{error}\nrepeat with: {}", repeat(name, seed));
    }
}

/// splitmix64: quick, and any seed is good.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is above 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below a usize")
    }

    /// One of the low bytes.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
