//! Files that nobody else reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::Value;
use shared::random;

/// Writes JSON as [`write_private_text`] does.
pub(crate) fn write_private(path: &Path, json: &Value) -> io::Result<()> {
    write_private_text(path, &format!("{json:#}\n"))
}

/// Writes a file that only the owner may read, from the first byte on. Whoever reads it meanwhile has the old one or the
/// new one, and so has whoever reads it after a crash.
pub(crate) fn write_private_text(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", random::base64url::<12>()));
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What cannot be written may not be there either.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_is_its_owners() {
        let directory = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        let path = directory.join("file.json");
        fs::create_dir_all(&directory).unwrap();
        fs::write(&path, "old").unwrap();
        write_private(&path, &json!({ "new": 1 })).unwrap();
        // Nothing can take the place of a directory.
        write_private(&directory, &json!({})).unwrap_err();
        let (text, mode) = (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode());
        let others = fs::read_dir(&directory).unwrap().count();
        fs::remove_dir_all(directory).unwrap();
        assert_eq!((text.as_str(), mode & 0o777, others), ("{\n  \"new\": 1\n}\n", 0o600, 1));
    }
}
