//! Everything that is logged in this process, through the subscriber that functions have on Lambda, at `trace`.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use local::functions::Functions;
use serde_json::Value;
use shared::env::Env;
use shared::log;
use tracing_subscriber::fmt::MakeWriter;

static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let own: Vec<&str> = Functions::names().chain(["local"]).collect();
    let env = Env::from_iter([("RUST_LOG", "trace")]);
    let subscriber = log::json_subscriber(&env, &own, lines.clone()).expect("RUST_LOG is well formed");
    tracing::subscriber::set_global_default(subscriber).expect("there is no other subscriber");
    lines
});

/// Starts to record.
pub fn record() {
    LazyLock::force(&LINES);
}

/// All that has been logged so far, by all tests.
pub fn all() -> String {
    String::from_utf8(LINES.0.lock().unwrap().clone()).expect("lines are UTF-8")
}

/// The lines of one request.
pub fn of_request(request_id: &str) -> Vec<Value> {
    with(request_id).into_iter().filter(|line| line["requestId"] == request_id).collect()
}

/// The lines that hold a text.
pub fn with(text: &str) -> Vec<Value> {
    let lines = all();
    let lines = lines.lines().filter(|line| line.contains(text));
    lines.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// How often a metric was counted by requests whose log holds a text.
pub fn count_of(metric: &str, text: &str) -> usize {
    let mut ids: Vec<_> = with(text).iter().filter_map(|line| Some(line["requestId"].as_str()?.to_owned())).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().flat_map(|id| of_request(id)).filter(|line| line[metric] == 1).count()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
