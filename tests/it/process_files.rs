//! The files that `cargo dev` writes: whose they are, and when they go.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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
        }
        let mut child = start(&directory, &["--data", data.to_str().unwrap()]).await;
        ready_line(&mut child).await;
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
async fn what_the_functions_were_given_goes_when_it_stops() {
    for name in ["INT", "TERM", "HUP"] {
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
    let fail = async || {
        let mut command = local(&directory.0, &["dev"]).await;
        assert!(!command.env("ORDER_TTL_SECS", "5").status().await.unwrap().success());
    };
    fail().await;
    assert!(dev.join("env.json").exists() && dev.join("functions.env").exists());
    end(child, "KILL").await;
    fs::write(dev.join(".env.json.abcdefghijkl"), SEAL_KEY).unwrap();
    assert!(fs::read_to_string(dev.join("env.json")).unwrap().contains(SEAL_KEY));
    fail().await;
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
    end(second, "TERM").await;
    assert_eq!(names(&dev), ["lock", "wechatpay.json"]);
}
