//! How large a binary is, and how large what is uploaded.

use std::io::{Cursor, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of the binary.
    pub binary: u64,
    /// Of the zip with the binary as `bootstrap`, which is what Lambda is given.
    pub zip: u64,
}

impl Sizes {
    /// The sizes of a binary.
    pub fn of(binary: &Path) -> Self {
        let bytes = std::fs::read(binary).expect("the binary can be read");
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("bootstrap", SimpleFileOptions::default()).expect("a zip can have a file");
        zip.write_all(&bytes).expect("memory can be written");
        let zip = zip.finish().expect("memory can be written").into_inner();
        Self { binary: bytes.len() as u64, zip: zip.len() as u64 }
    }
}

/// Bytes as megabytes: 1 000 000 of them each, as in the targets.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}
