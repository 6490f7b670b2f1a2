//! Files that nobody else reads.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::Value;
use shared::random;

const OWNER_DIRECTORY: u32 = 0o700;
const OWNER_FILE: u32 = 0o600;

/// What to do where the system lets no mode be set: in a volume of another owner, or one that knows no modes (exFAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutModes {
    /// Others may read it: a line says so.
    GoOn,
    /// It is an error.
    Refuse,
}

/// Makes a directory that only its owner may enter, or makes one that is there so: all of it is ours. So are the files in
/// it.
pub(crate) fn own_directory(path: &Path, without_modes: WithoutModes) -> io::Result<()> {
    make_directory(path)?;
    set_mode(path, OWNER_DIRECTORY, without_modes)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            set_mode(&entry.path(), OWNER_FILE, without_modes)?;
        }
    }
    Ok(())
}

/// Makes a directory that only its owner may enter. One that is there becomes so, if everything in it is ours: another
/// one, such as a home, keeps its mode, because other programs and users may need it. What has a name of ours and is no
/// regular file, such as a link to another user's, is an error.
pub(crate) fn private_directory(
    path: &Path,
    is_ours: impl Fn(&str) -> bool,
    without_modes: WithoutModes,
) -> io::Result<()> {
    make_directory(path)?;
    let (mut ours, mut are_all_ours) = (Vec::new(), true);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        match name.to_str().filter(|name| is_ours(name)) {
            Some(_) if entry.file_type()?.is_file() => ours.push(entry.path()),
            Some(name) => return Err(io::Error::other(format!("{name} is no regular file"))),
            None => are_all_ours = false,
        }
    }
    if are_all_ours {
        set_mode(path, OWNER_DIRECTORY, without_modes)?;
    }
    ours.iter().try_for_each(|file| set_mode(file, OWNER_FILE, without_modes))
}

fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(OWNER_DIRECTORY).create(path) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

fn set_mode(path: &Path, mode: u32, without_modes: WithoutModes) -> io::Result<()> {
    use io::ErrorKind::{PermissionDenied, Unsupported};
    match (fs::set_permissions(path, Permissions::from_mode(mode)), without_modes) {
        (Err(err), _) if ![PermissionDenied, Unsupported].contains(&err.kind()) => Err(err),
        (Err(err), WithoutModes::GoOn) => {
            tracing::warn!(error = %err, "{} could not be closed to others: they may be able to read it", path.display());
            Ok(())
        }
        (Err(err), WithoutModes::Refuse) => {
            let message = format!("it cannot be closed to others, and the secrets that were given go there: {err}");
            Err(io::Error::new(err.kind(), message))
        }
        (Ok(()), _) => Ok(()),
    }
}

/// Makes an empty file that only the owner may read, where there is none.
pub(crate) fn private_empty_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_FILE).open(path) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(|_| ()),
    }
}

/// The name that a file has until all of it is written begins so.
pub(crate) fn unfinished(name: &str) -> String {
    format!(".{name}.")
}

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
    let temporary = path.with_file_name(format!("{}{}", unfinished(&name), random::base64url::<12>()));
    let written = write_new(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What cannot be written may not be there either.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_FILE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_of_ours_becomes_its_owners_and_one_of_others_does_not() {
        let root = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        let is_ours = |name: &str| name.starts_with("ours");
        let (new, wide, shared) = (root.join("a/new"), root.join("wide"), root.join("shared"));
        for directory in [&wide, &shared] {
            fs::create_dir_all(directory).unwrap();
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
            fs::write(directory.join("ours.json"), "").unwrap();
        }
        fs::write(shared.join("theirs"), "").unwrap();
        let theirs = mode(&shared.join("theirs"));
        for directory in [&new, &wide, &shared] {
            private_directory(directory, is_ours, WithoutModes::Refuse).unwrap();
        }
        let directories = [&new, &wide, &shared].map(|directory| mode(directory));
        let files = [&wide, &shared].map(|directory| mode(&directory.join("ours.json")));
        let left = mode(&shared.join("theirs"));
        fs::remove_dir_all(root).unwrap();
        assert_eq!((directories, files, left), ([0o700, 0o700, 0o755], [0o600, 0o600], theirs));
    }

    #[test]
    fn all_of_a_directory_of_our_own_becomes_its_owners_whatever_is_in_it() {
        let root = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        let file = root.join("file");
        fs::create_dir_all(root.join("directory")).unwrap();
        fs::write(&file, "").unwrap();
        for path in [&root, &file] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        own_directory(&root, WithoutModes::Refuse).unwrap();
        let modes = (mode(&root), mode(&file));
        fs::remove_dir_all(root).unwrap();
        assert_eq!(modes, (0o700, 0o600));
    }

    /// No user may change a mode in `/proc`, as in a volume of another owner.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_closed_is_refused_only_where_that_matters() {
        let path = Path::new("/proc/self/ns");
        let refused = own_directory(path, WithoutModes::Refuse).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(refused.to_string().starts_with("it cannot be closed to others, and the secrets"), "{refused}");
        own_directory(path, WithoutModes::GoOn).unwrap();
        // What is missing is an error all the same.
        set_mode(Path::new("/nowhere"), OWNER_FILE, WithoutModes::GoOn).unwrap_err();
    }

    #[test]
    fn a_link_with_a_name_of_ours_is_refused() {
        let root = std::env::temp_dir().join(format!("wechat-functions-{}", random::base64url::<12>()));
        let (far, directory) = (root.join("far"), root.join("directory"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(&far, "").unwrap();
        fs::set_permissions(&far, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&far, directory.join("ours.json")).unwrap();
        let refused = private_directory(&directory, |name| name.starts_with("ours"), WithoutModes::GoOn);
        let mode = mode(&far);
        fs::remove_dir_all(root).unwrap();
        assert_eq!((refused.unwrap_err().to_string().as_str(), mode), ("ours.json is no regular file", 0o644));
    }

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
