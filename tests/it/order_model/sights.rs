//! What a property has come across: one that never meets what it is about holds of nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// How often things were seen.
#[derive(Debug)]
pub(super) struct Sights {
    seen: Mutex<BTreeMap<String, usize>>,
    begin: Instant,
}

impl Default for Sights {
    fn default() -> Self {
        Self { seen: Mutex::default(), begin: Instant::now() }
    }
}

impl Sights {
    pub(super) fn see(&self, sight: impl Into<String>) {
        *self.seen.lock().unwrap().entry(sight.into()).or_default() += 1;
    }

    /// Checks that all of these were seen.
    #[expect(clippy::print_stdout, reason = "the numbers are for whoever asks for the output of tests")]
    pub(super) fn assert(&self, name: &str, wanted: &[&str]) {
        let seen = self.seen.lock().unwrap();
        println!("{name}: {:.1?}, {seen:?}", self.begin.elapsed());
        let missing: Vec<_> = wanted.iter().filter(|sight| !seen.contains_key(**sight)).collect();
        assert!(missing.is_empty(), "{name}: never seen: {missing:?}");
    }
}
