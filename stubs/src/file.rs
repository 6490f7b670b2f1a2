//! Files for as long as they are needed.

use std::path::{Path, PathBuf};

use shared::random;

/// A file that is gone when this is dropped.
#[derive(Debug)]
pub struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// A file with this text.
    pub fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Where it is gone already, there is nothing to do.
        let _ = std::fs::remove_file(&self.0);
    }
}
