//! The binaries of this workspace, built on request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the project").to_owned()
}

/// Runs `cargo build` with these arguments; what it has built, by name.
pub async fn build(arguments: &[&str]) -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    // Build scripts that look at these would run again, and rebuild half of the dependencies.
    #[expect(clippy::disallowed_methods, reason = "it is about the environment of a child process")]
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics"]).args(arguments);
    let output = cargo.current_dir(root()).stderr(Stdio::inherit()).output().await.unwrap();
    assert!(output.status.success(), "cargo build {arguments:?} failed");
    let messages = String::from_utf8(output.stdout).unwrap();
    let executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((path.file_name()?.to_str()?.to_owned(), path))
    });
    executables.collect()
}
