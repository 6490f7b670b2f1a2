//! Where the time of a thread goes.

use std::collections::BTreeMap;

use pprof::{Frames, ProfilerGuard};

/// Samples for each second of work.
const HERTZ: i32 = 997;

/// How many names are listed.
const LISTED: usize = 15;

/// The CPU time that the main thread of a process has had, in microseconds.
pub fn process_cpu_micros(process: u32) -> f64 {
    let path = format!("/proc/{process}/task/{process}/schedstat");
    let text = std::fs::read_to_string(path).expect("Linux tells the CPU time");
    let nanos: f64 = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("it is a number");
    nanos / 1e3
}

/// Runs `work`, and says in which libraries the samples of this thread were: the innermost function of each, and its
/// share in percent.
pub fn by_library(work: impl FnOnce()) -> Vec<(String, f64)> {
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    let guard = ProfilerGuard::new(HERTZ).expect("there is one profiler");
    work();
    let report = guard.report().build().expect("there are samples");
    let mut samples = BTreeMap::<String, isize>::new();
    for (frames, count) in &report.data {
        if frames.thread_name == thread {
            *samples.entry(library(frames)).or_default() += count;
        }
    }
    let total: isize = samples.values().sum();
    let mut shares: Vec<_> =
        samples.into_iter().map(|(name, count)| (name, 100.0 * count as f64 / total as f64)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rest = shares.split_off(LISTED.min(shares.len()));
    shares.push(("the rest".to_owned(), rest.iter().map(|(_, share)| share).sum()));
    shares
}

/// The crate of the innermost function that was not inlined. The kernel's time counts for the function of the C library
/// that called it.
fn library(frames: &Frames) -> String {
    let name = frames.frames.first().and_then(|symbols| symbols.last()).map(|symbol| symbol.name()).unwrap_or_default();
    let is_one_of = |names: &[&str]| names.iter().any(|part| name.contains(part));
    match name.trim_start_matches(['<', '&', '(']).trim_start_matches("dyn ").split_once("::") {
        Some(("core" | "alloc" | "std", _)) => "the standard library".to_owned(),
        Some((library, _)) => library.split(' ').next().unwrap_or(library).to_owned(),
        None if is_one_of(&["ring_core", "sha256", "aes", "gcm"]) => "ring".to_owned(),
        None if is_one_of(&["alloc", "free", "tcache", "_int_"]) => "malloc and free".to_owned(),
        None if is_one_of(&["memcpy", "memmove", "memset", "memcmp"]) => "memory: copied, cleared, compared".to_owned(),
        None => format!("kernel or C library: {}", name.trim_start_matches("__GI_").trim_start_matches('_')),
    }
}
