//! Stand-in for the files of the machine.

use std::path::Path;

use crate::config::source::{FileProblem, Files};

/// The files of this machine.
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        std::fs::read(path).map_err(|_| FileProblem)
    }
}
