//! Orders of the real functions against a simple model of them, and their states one by one.
//!
//! The same cases are drawn in every run, as in `properties`; only the numbers that the functions make up differ.

mod burst_refunds;
mod bursts;
mod chances;
mod checks;
mod model;
mod model_refunds;
mod model_sweep;
mod refund_steps;
mod sequences;
mod shop;
mod sights;
mod states;
mod steps;

use std::fmt::Debug;

use proptest::prelude::{ProptestConfig, Strategy, TestCaseError};
use proptest::test_runner::TestRunner;

type Checked = Result<(), TestCaseError>;

/// Runs so many cases, each with a runtime of its own that ends with it.
fn for_all<T: Debug>(cases: u32, strategy: impl Strategy<Value = T>, case: impl AsyncFn(&T) -> Checked) {
    let config = ProptestConfig { max_shrink_iters: 64, ..ProptestConfig::with_cases(cases) };
    let run = |value: T| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(case(&value))
    };
    if let Err(failure) = TestRunner::new(config).run(&strategy, run) {
        panic!("{failure}");
    }
}
