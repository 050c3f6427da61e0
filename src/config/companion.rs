//! `keepalived-rs.conf` beside the main file: where it lies, and when it is read.
//!
//! Words that C keepalived does not know never stand in `keepalived.conf`, because C
//! must be able to read that file on the other node and on the way back. They stand
//! in this one, which need not exist. Its syntax and its findings are those of the
//! main file; its words are rows of `keywords/companion`, and what was defined with
//! `$NAME =` in the main file is not known in it.

use std::path::PathBuf;

use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::expand;
use super::keywords::Vocabulary;
use super::keywords::companion::{Draft, FILE_NAME, KEYWORDS};
use super::source::{FileId, FileProblem, Sources};
use super::{Reading, tree};

/// Reads the file, if there is one. It joins `sources`, so that whoever reads them
/// again finds it there or not, as it was found here.
pub(super) fn read(reading: &Reading<'_>, sources: &mut Sources, found: &mut Collector) -> Draft {
    let mut draft = Draft::default();
    let Some(path) = beside(sources) else {
        return draft;
    };
    let mut problem = None;
    let mut text = |found: &mut Collector, take: &mut dyn FnMut(expand::Token)| {
        let (files, options) = (reading.files, reading.options);
        problem = expand::read_more(files, &path, options, sources, found, take).err();
    };
    let mut done = drop::<tree::Statement>;
    let vocabulary = Vocabulary::companion();
    reading.apply(
        vocabulary, KEYWORDS, &mut draft, &mut text, found, &mut done,
    );
    if let Some(problem) = problem.filter(|problem| *problem != FileProblem::Missing) {
        let text = expand::file_message(&path, problem);
        let class = Class::NoConfiguration;
        let code = "no-configuration";
        found.push(Diagnostic::new(code, Severity::Fatal, class, text));
    }
    draft
}

/// Where the file lies. Beside nothing there is nothing, and a main file of this
/// name is what C would read.
fn beside(sources: &Sources) -> Option<PathBuf> {
    let path = sources.path(FileId::default())?.with_file_name(FILE_NAME);
    let is_read = sources.paths().contains(&path.as_path());
    (!is_read).then_some(path)
}
