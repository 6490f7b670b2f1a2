//! The files in `target/dev` while `cargo dev` runs. They have what the functions were given, real secrets among it, so they
//! are their owner's, and go when it stops.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use shared::env::Env;

use crate::environment;
use crate::machine::{Machine, StartError};
use crate::private_file::{WithoutModes, own_directory, private_empty_file, unfinished};

/// Those that go: what is in them is of no use without the machine.
const ENVIRONMENT: [&str; 2] = ["env.json", "functions.env"];

/// The keys of the sandbox's WeChat Pay, which are never real, for `event` to sign with.
const PAY_KEYS: &str = "wechatpay.json";

/// Every `cargo dev` that runs here shares a lock of it: the system ends the lock, however that one ends.
const LOCK: &str = "lock";

/// Whose secrets the files will have in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// The sandbox's, which are good nowhere else.
    MadeUp,
    /// Those that were given from outside.
    Given,
}

impl Secrets {
    /// Whose they are with this environment outside.
    #[must_use]
    pub fn of(outside: &Env) -> Self {
        let given = environment::SECRETS.into_iter().chain(environment::CREDENTIALS);
        match given.into_iter().any(|name| outside.get(name).is_some()) {
            true => Self::Given,
            false => Self::MadeUp,
        }
    }
}

/// The files of one `cargo dev`.
#[derive(Debug)]
pub struct DevFiles {
    directory: PathBuf,
    /// What is to go, as it was written.
    written: Vec<(PathBuf, Vec<u8>)>,
    /// Shared with the others that run.
    _lock: File,
}

impl DevFiles {
    /// Makes the directory its owner's, and removes what a `cargo dev` that crashed has left there, if none runs there.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used, or secrets that were given would be there for others to read.
    pub fn open(directory: PathBuf, secrets: Secrets) -> Result<Self, StartError> {
        let without_modes = match secrets {
            Secrets::Given => WithoutModes::Refuse,
            Secrets::MadeUp => WithoutModes::GoOn,
        };
        let opened = own_directory(&directory, without_modes).and_then(|()| {
            let path = directory.join(LOCK);
            private_empty_file(&path)?;
            let lock = File::open(&path)?;
            share(&lock, || remove_leftovers(&directory))?;
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

/// Shares the lock, and cleans before where no other `cargo dev` shares it.
fn share(lock: &File, clean: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match lock.try_lock() {
        Ok(()) => {
            clean()?;
            // One that comes in between finds nothing of ours yet.
            lock.unlock()?;
            lock.lock_shared()
        }
        // Only while it cleans does another keep this one waiting.
        Err(TryLockError::WouldBlock) => lock.lock_shared(),
        // Where there are no locks, such as in some volumes, another one may run.
        Err(TryLockError::Error(err)) => {
            tracing::debug!(error = %err, "no locks here: what a crash has left stays");
            Ok(())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_known_from_what_is_made_up() {
        for name in ["WECHAT_APPS", "WECHATPAY", "SEAL_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            assert_eq!(Secrets::of(&Env::from_iter([(name, "x")])), Secrets::Given, "{name}");
        }
        let names = Env::from_iter([("WECHAT_APPS_SECRET_ARN", "arn:x"), ("TABLE_NAME", "shop")]);
        assert_eq!(Secrets::of(&names), Secrets::MadeUp);
    }
}
