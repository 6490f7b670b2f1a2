//! The files in `target/dev` while `cargo dev` runs. They have what the functions were given, real secrets among it, so they
//! are their owner's, and go when it stops.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::machine::{Machine, StartError};
use crate::private_file::{private_directory, private_empty_file, unfinished};

/// Those that go: what is in them is of no use without the machine.
const ENVIRONMENT: [&str; 2] = ["env.json", "functions.env"];

/// The keys of the sandbox's WeChat Pay, which are never real, for `event` to sign with.
const PAY_KEYS: &str = "wechatpay.json";

/// Locked as long as a `cargo dev` runs here: the system ends the lock, however that one ends.
const LOCK: &str = "lock";

/// The files of one `cargo dev`.
#[derive(Debug)]
pub struct DevFiles {
    directory: PathBuf,
    /// What is to go, as it was written.
    written: Vec<(PathBuf, Vec<u8>)>,
    /// Not held where another `cargo dev` runs.
    _lock: File,
}

impl DevFiles {
    /// Makes the directory its owner's, and removes what a `cargo dev` that crashed has left there.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used.
    pub fn open(directory: PathBuf) -> Result<Self, StartError> {
        let opened = private_directory(&directory, |_| true).and_then(|()| {
            let path = directory.join(LOCK);
            private_empty_file(&path)?;
            let lock = File::open(&path)?;
            if lock.try_lock().is_ok() {
                remove_leftovers(&directory)?;
            }
            Ok(lock)
        });
        match opened {
            Ok(lock) => Ok(Self { directory, written: Vec::new(), _lock: lock }),
            Err(source) => Err(StartError::File { path: directory, source }),
        }
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// If one cannot be written. Those before it go.
    pub fn write(&mut self, machine: &Machine) -> Result<(), StartError> {
        machine.write_pay_keys(pay_keys(&self.directory))?;
        let [vars, lines] = ENVIRONMENT.map(|name| self.directory.join(name));
        machine.write_env_vars(vars.clone())?;
        self.remember(vars)?;
        machine.write_env_file(lines.clone())?;
        self.remember(lines)
    }

    fn remember(&mut self, path: PathBuf) -> Result<(), StartError> {
        match fs::read(&path) {
            Ok(text) => self.written.push((path, text)),
            Err(source) => return Err(StartError::File { path, source }),
        }
        Ok(())
    }
}

impl Drop for DevFiles {
    fn drop(&mut self) {
        for (path, text) in &self.written {
            // Another `cargo dev` may have put its own there meanwhile.
            if !fs::read(path).is_ok_and(|now| now == *text) {
                continue;
            }
            if let Err(err) = fs::remove_file(path) {
                tracing::error!(error = %err, "{} has secrets in it and could not be removed", path.display());
            }
        }
    }
}

/// Where the keys of the sandbox's WeChat Pay are, in that directory.
#[must_use]
pub fn pay_keys(directory: &Path) -> PathBuf {
    directory.join(PAY_KEYS)
}

fn remove_leftovers(directory: &Path) -> io::Result<()> {
    let unfinished = [ENVIRONMENT[0], ENVIRONMENT[1], PAY_KEYS].map(unfinished);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if ENVIRONMENT.contains(&&*name) || unfinished.iter().any(|start| name.starts_with(start)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
