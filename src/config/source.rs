//! Stand-in for the texts of a configuration.

use std::path::{Path, PathBuf};

/// Why a file could not be read.
#[derive(Debug)]
pub struct FileProblem;

/// Where files come from.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem>;
}

/// Every text that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Path and text.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

impl Sources {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.files
            .first()
            .map(|(_, text)| text.clone())
            .unwrap_or_default()
    }
}
