//! The same login in the languages that people would write it in otherwise, where this machine has them.

use std::path::{Path, PathBuf};

use stubs::binaries::root;
use stubs::upstreams::{Secrets, Upstreams};
use tokio::process::Command;

use crate::subjects::Subject;

/// All that can be built here; what cannot is said.
pub async fn subjects(upstreams: &Upstreams) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let variables = upstreams.variables(Secrets::Variables);
    match go().await {
        Ok(binary) => subjects.push(Subject::binary("login in Go", &binary, "login", variables.clone())),
        Err(reason) => skip("Go", &reason),
    }
    match node().await {
        Ok((node, [modules, bundle])) => {
            let mut variables = variables;
            variables.insert("NODE_EXTRA_CA_CERTS".to_owned(), variables["SSL_CERT_FILE"].clone());
            for (name, script) in [("login in Node.js", modules), ("login in Node.js, bundled", bundle)] {
                subjects.push(Subject::program(name, vec![node.clone(), script], variables.clone()));
            }
        }
        Err(reason) => skip("Node.js", &reason),
    }
    subjects
}

async fn go() -> Result<PathBuf, String> {
    let binary = folder("go")?.join("bootstrap");
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o"]).arg(&binary).arg(".");
    run(build.current_dir(root().join("bench/peers/go"))).await?;
    Ok(binary)
}

/// As it is installed, and as one file. Both beside `target`, so that nothing is installed among the sources.
async fn node() -> Result<(PathBuf, [PathBuf; 2]), String> {
    let folder = folder("node")?;
    for file in [".npmrc", "index.mjs", "package.json", "package-lock.json"] {
        let source = root().join("bench/peers/node").join(file);
        std::fs::copy(source, folder.join(file)).map_err(|err| err.to_string())?;
    }
    run(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder)).await?;
    run(Command::new("npm").args(["run", "--silent", "bundle"]).current_dir(&folder)).await?;
    // A function has no PATH.
    let node = run(Command::new("node").args(["-p", "process.execPath"])).await?;
    Ok((PathBuf::from(node.trim()), [folder.join("index.mjs"), folder.join("bundle.mjs")]))
}

fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = Path::new(&root()).join("target/peers").join(name);
    std::fs::create_dir_all(&folder).map_err(|err| err.to_string())?;
    Ok(folder)
}

async fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().await.map_err(|err| err.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[expect(clippy::print_stderr, reason = "the table below has a row less")]
fn skip(language: &str, reason: &str) {
    eprintln!("without {language}: {}", reason.trim().lines().next().unwrap_or("it says nothing"));
}
