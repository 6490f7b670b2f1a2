//! The files that `cargo dev` writes: whose they are, and when they go.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use local::signals;
use tokio::process::Child;

use crate::process::{Directory, FREE_PORTS, WITHIN, local, ready_line, signal};

/// As real as one can be in a test.
const SEAL_KEY: &str = "a-seal-key-that-was-given-from-outside-by-a-team";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `cargo dev` with a seal key that is given.
async fn start(directory: &Directory, arguments: &[&str]) -> Child {
    let mut command = local(&directory.0, &[&["dev", "--no-schedule"], &FREE_PORTS[..], arguments].concat()).await;
    command.env("SEAL_KEY", SEAL_KEY).spawn().unwrap()
}

/// Those that end it: under `nohup`, which the tests may run under, the end of the terminal is meant not to.
#[expect(clippy::print_stderr, reason = "the output of the tests says what was not tried")]
fn ending_signals() -> Vec<&'static str> {
    if signals::ignores_hangup() {
        eprintln!("SIGHUP is ignored here, as under nohup, and is not tried");
        return vec!["INT", "TERM"];
    }
    vec!["INT", "TERM", "HUP"]
}

/// Starts one that is configured wrongly.
async fn fail(directory: &Directory) {
    let mut command = local(&directory.0, &["dev"]).await;
    assert!(!command.env("ORDER_TTL_SECS", "5").status().await.unwrap().success());
}

async fn end(mut child: Child, name: &str) {
    signal(&child, name).await;
    tokio::time::timeout(WITHIN, child.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_files_are_their_owners_also_where_they_were_everybodys() {
    for was_there in [false, true] {
        let directory = Directory::new();
        let (dev, data) = (directory.0.join("target/dev"), directory.0.join("data"));
        if was_there {
            for (directory, name) in [(&dev, "env.json"), (&data, "keys.json"), (&data, "dynamodb.sqlite")] {
                fs::create_dir_all(directory).unwrap();
                fs::write(directory.join(name), if name == "keys.json" { "{}" } else { "" }).unwrap();
                fs::set_permissions(directory.join(name), Permissions::from_mode(0o666)).unwrap();
                fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
            }
            // All of `target/dev` is ours, whatever is in it.
            fs::create_dir(dev.join("another")).unwrap();
        }
        let mut child = start(&directory, &["--data", data.to_str().unwrap()]).await;
        ready_line(&mut child).await;
        if was_there {
            fs::remove_dir(dev.join("another")).unwrap();
        }
        assert_eq!(names(&dev), ["env.json", "functions.env", "lock", "wechatpay.json"]);
        assert!(names(&data).contains(&"dynamodb.sqlite".to_owned()), "{:?}", names(&data));
        for directory in [&dev, &data] {
            assert_eq!(mode(directory), 0o700, "{}", directory.display());
            for name in names(directory) {
                assert_eq!(mode(&directory.join(&name)), 0o600, "{name}");
            }
        }
        end(child, "TERM").await;
    }
}

#[tokio::test]
async fn a_link_in_the_data_to_a_file_elsewhere_is_refused() {
    let directory = Directory::new();
    let (data, far) = (directory.0.join("data"), directory.0.join("far"));
    fs::create_dir(&data).unwrap();
    fs::write(&far, "{}").unwrap();
    for name in ["keys.json", "dynamodb.sqlite", "dynamodb.sqlite-wal"] {
        std::os::unix::fs::symlink(&far, data.join(name)).unwrap();
        let mut command = local(&directory.0, &["dev", "--data", data.to_str().unwrap()]).await;
        let output = tokio::time::timeout(WITHIN, command.args(FREE_PORTS).output()).await;
        let output = output.expect("it does not start").unwrap();
        let expected = format!("error: {} cannot be used: {name} is no regular file\n", data.display());
        assert_eq!((output.status.success(), String::from_utf8(output.stderr).unwrap()), (false, expected));
        assert_eq!(fs::read_to_string(&far).unwrap(), "{}", "{name}");
        fs::remove_file(data.join(name)).unwrap();
    }
}

#[tokio::test]
async fn what_the_functions_were_given_goes_when_it_stops() {
    for name in ending_signals() {
        let directory = Directory::new();
        let dev = directory.0.join("target/dev");
        let mut child = start(&directory, &[]).await;
        ready_line(&mut child).await;
        assert!(fs::read_to_string(dev.join("env.json")).unwrap().contains(SEAL_KEY), "{name}");
        assert!(fs::read_to_string(dev.join("functions.env")).unwrap().contains(SEAL_KEY), "{name}");
        end(child, name).await;
        // Those keys are the sandbox's: `event` signs with them.
        assert_eq!(names(&dev), ["lock", "wechatpay.json"], "{name}");
    }
}

#[tokio::test]
async fn what_a_crash_leaves_goes_at_the_next_start_even_if_that_fails() {
    let directory = Directory::new();
    let dev = directory.0.join("target/dev");
    let mut child = start(&directory, &[]).await;
    ready_line(&mut child).await;
    // One that runs keeps its files, whatever becomes of another.
    fail(&directory).await;
    assert!(dev.join("env.json").exists() && dev.join("functions.env").exists());
    end(child, "KILL").await;
    fs::write(dev.join(".env.json.abcdefghijkl"), SEAL_KEY).unwrap();
    assert!(fs::read_to_string(dev.join("env.json")).unwrap().contains(SEAL_KEY));
    fail(&directory).await;
    assert_eq!(names(&dev), ["lock", "wechatpay.json"]);
}

#[tokio::test]
async fn the_files_of_another_that_runs_stay() {
    let directory = Directory::new();
    let dev = directory.0.join("target/dev");
    let mut first = start(&directory, &[]).await;
    ready_line(&mut first).await;
    let mut second = start(&directory, &[]).await;
    ready_line(&mut second).await;
    end(first, "TERM").await;
    assert_eq!(names(&dev), ["env.json", "functions.env", "lock", "wechatpay.json"]);
    // Nor does the end of the one that came first make the other's a crash's.
    fail(&directory).await;
    assert_eq!(names(&dev), ["env.json", "functions.env", "lock", "wechatpay.json"]);
    end(second, "TERM").await;
    assert_eq!(names(&dev), ["lock", "wechatpay.json"]);
}
