//! Files, includes and places in them.
//!
//! Decides how a place in the configuration is named (file, line, column) and
//! how everything that was read is kept, so that a second reader gets exactly
//! the same text. Does not decide what an include line means; see `expand/include.rs`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where configuration files come from.
pub trait Files {
    /// The bytes of one file, or why it cannot be used.
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem>;

    /// The files that a pattern with shell wildcards and `{a,b}` names, sorted.
    /// A relative pattern is relative to `directory`; an empty directory is the
    /// working directory. Empty if nothing matches.
    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf>;

    /// An environment variable, for `${_ENV NAME}`.
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Why a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileProblem {
    /// There is no such file.
    Missing,
    /// It is a directory.
    Directory,
    /// It is a device, a pipe or the like, or has an execute bit.
    NotRegularOrExecutable,
    /// It cannot be read; the kernel's error number.
    Unreadable(i32),
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("file is missing"),
            Self::Directory => f.write_str("file is a directory"),
            Self::NotRegularOrExecutable => f.write_str("not a regular non-executable file"),
            Self::Unreadable(number) => crate::ids::Errno(*number).fmt(f),
        }
    }
}

/// One file that was read. Counted from 1, which makes an `Option<Span>` as small
/// as a `Span`: there are many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(NonZeroU32);

impl FileId {
    fn of_index(index: usize) -> Self {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    fn index(self) -> usize {
        usize::try_from(self.0.get().saturating_sub(1)).unwrap_or(usize::MAX)
    }
}

/// The main file.
impl Default for FileId {
    fn default() -> Self {
        Self::of_index(0)
    }
}

/// A stretch of one file, in bytes of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The same stretch when `files` files stand in front of its own.
    pub fn moved_by(self, files: usize) -> Self {
        Self {
            file: FileId::of_index(self.file.index().saturating_add(files)),
            ..self
        }
    }
}

/// A place as people name it. Lines and columns count from 1, columns count
/// characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file.
    pub path: &'a Path,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The text of that line without its end.
    pub text: &'a str,
    /// Where in `text` the span starts, in bytes.
    pub start: usize,
    /// Where in `text` the span ends, in bytes; a span never leaves its line here.
    pub end: usize,
}

#[derive(Debug, Clone)]
struct SourceFile {
    path: PathBuf,
    text: Arc<str>,
    /// Asked for where something is found, which is seldom.
    line_starts: OnceCell<Vec<u32>>,
    included_at: Option<Span>,
}

/// Everything that was read, with all answers of the file system, so that the
/// same reading can be repeated without it.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    reads: BTreeMap<PathBuf, Result<Arc<str>, FileProblem>>,
    /// By pattern and directory.
    matches: BTreeMap<(PathBuf, PathBuf), Vec<PathBuf>>,
    variables: BTreeMap<String, Option<String>>,
}

/// What a reading asked the file system for, without the answers. Most likely the next
/// reading asks for the same.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    reads: Vec<PathBuf>,
    matches: Vec<(PathBuf, PathBuf)>,
    variables: Vec<String>,
}

impl Questions {
    /// Asks for all of it once more. What comes of it can be replayed, and has no places.
    pub fn ask(&self, files: &dyn Files) -> Sources {
        let read = |path: &PathBuf| {
            let answer = files.read(path).map(|bytes| Arc::from(text_of(bytes)));
            (path.clone(), answer)
        };
        let found = |key: &(PathBuf, PathBuf)| (key.clone(), files.matching(&key.0, &key.1));
        let variable = |name: &String| (name.clone(), files.variable(name));
        Sources {
            files: Vec::new(),
            reads: self.reads.iter().map(read).collect(),
            matches: self.matches.iter().map(found).collect(),
            variables: self.variables.iter().map(variable).collect(),
        }
    }
}

/// Bytes that are not UTF-8 become U+FFFD.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(&error.into_bytes()).into_owned())
}

/// Bytes given to [`Sources::from_bytes`] are not what [`Sources::to_bytes`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSources;

impl fmt::Display for NotSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a recorded configuration")
    }
}

impl std::error::Error for NotSources {}

/// What goes over the wire. Paths are bytes because they need not be UTF-8.
#[derive(Serialize, Deserialize)]
struct Recorded {
    reads: Vec<(Vec<u8>, Result<String, FileProblem>)>,
    matches: Vec<RecordedMatches>,
    variables: BTreeMap<String, Option<String>>,
}

/// Pattern, directory, and what they named.
type RecordedMatches = (Vec<u8>, Vec<u8>, Vec<Vec<u8>>);

fn path_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn bytes_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

impl Sources {
    /// Everything, as bytes for another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        let recorded = Recorded {
            reads: self
                .reads
                .iter()
                .map(|(path, answer)| {
                    let answer = answer.as_ref().map(|text| text.to_string());
                    (path_bytes(path), answer.map_err(|problem| *problem))
                })
                .collect(),
            matches: self
                .matches
                .iter()
                .map(|((pattern, directory), found)| {
                    let found = found.iter().map(|path| path_bytes(path)).collect();
                    (path_bytes(pattern), path_bytes(directory), found)
                })
                .collect(),
            variables: self.variables.clone(),
        };
        serde_json::to_vec(&recorded).unwrap_or_default()
    }

    /// Reads what [`Sources::to_bytes`] wrote. The bytes may be anything.
    ///
    /// # Errors
    /// [`NotSources`] if they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotSources> {
        let recorded: Recorded = serde_json::from_slice(bytes).map_err(|_| NotSources)?;
        Ok(Self {
            files: Vec::new(),
            reads: recorded
                .reads
                .into_iter()
                .map(|(path, answer)| (bytes_path(path), answer.map(Arc::from)))
                .collect(),
            matches: recorded
                .matches
                .into_iter()
                .map(|(pattern, directory, found)| {
                    let found = found.into_iter().map(bytes_path).collect();
                    ((bytes_path(pattern), bytes_path(directory)), found)
                })
                .collect(),
            variables: recorded.variables,
        })
    }

    /// What was asked for.
    pub fn questions(&self) -> Questions {
        Questions {
            reads: self.reads.keys().cloned().collect(),
            matches: self.matches.keys().cloned().collect(),
            variables: self.variables.keys().cloned().collect(),
        }
    }

    /// Whether a replay of both gives the same answers to the same questions: then both
    /// are the same configuration.
    pub fn answers_as(&self, other: &Self) -> bool {
        self.reads == other.reads
            && self.matches == other.matches
            && self.variables == other.variables
    }

    /// The paths of all files that were read, in order, each once.
    pub fn paths(&self) -> Vec<&Path> {
        let mut seen = HashSet::new();
        let paths = self.files.iter().map(|file| file.path.as_path());
        paths.filter(|path| seen.insert(*path)).collect()
    }

    /// Appends what another reading read, so that findings can point to places of
    /// both. Spans of the other reading are moved by [`Span::moved_by`] with the
    /// number of files that were here before.
    pub fn append(&mut self, other: &Self) {
        let before = self.files.len();
        self.files
            .extend(other.files.iter().cloned().map(|file| SourceFile {
                included_at: file.included_at.map(|span| span.moved_by(before)),
                ..file
            }));
    }

    /// How many files were read; a file that is included twice counts twice.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The text of a span; empty for a span of other sources.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or_default()
    }

    /// Where a span starts; `None` for a span of other sources.
    pub fn place(&self, span: Span) -> Option<Place<'_>> {
        let file = self.file(span.file)?;
        let start = (span.start as usize).min(file.text.len());
        let starts = file.line_starts.get_or_init(|| line_starts(&file.text));
        let line = starts.partition_point(|&at| at as usize <= start).max(1);
        let line_start = *starts.get(line.saturating_sub(1))? as usize;
        let rest = file.text.get(line_start..)?;
        let text = rest.split('\n').next().unwrap_or_default();
        let text = text.trim_end_matches('\r');
        let begin = start.saturating_sub(line_start).min(text.len());
        let end = (span.end as usize)
            .saturating_sub(line_start)
            .clamp(begin, text.len());
        let column = text.get(..begin)?.chars().count().saturating_add(1);
        Some(Place {
            path: &file.path,
            line,
            column,
            text,
            start: begin,
            end,
        })
    }

    /// The include line that brought in this file; `None` for the main file.
    pub fn included_at(&self, file: FileId) -> Option<Span> {
        self.file(file)?.included_at
    }

    /// The path of a file as it was found.
    pub fn path(&self, file: FileId) -> Option<&Path> {
        Some(&self.file(file)?.path)
    }

    fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.index())
    }

    /// Adds a file that was read. Bytes that are not UTF-8 become U+FFFD.
    pub(super) fn add(
        &mut self,
        path: &Path,
        bytes: Vec<u8>,
        included_at: Option<Span>,
    ) -> (FileId, Arc<str>) {
        let text: Arc<str> = Arc::from(text_of(bytes));
        let id = FileId::of_index(self.files.len());
        self.files.push(SourceFile {
            path: path.to_path_buf(),
            text: text.clone(),
            line_starts: OnceCell::new(),
            included_at,
        });
        self.remember_read(path, Ok(text.clone()));
        (id, text)
    }

    /// Keeps the answer to a read for a replay; the first one counts.
    pub(super) fn remember_read(&mut self, path: &Path, answer: Result<Arc<str>, FileProblem>) {
        self.reads.entry(path.to_path_buf()).or_insert(answer);
    }

    /// Keeps the answer to a pattern for a replay; the first one counts.
    pub(super) fn remember_matches(&mut self, pattern: &Path, directory: &Path, found: &[PathBuf]) {
        let key = (pattern.to_path_buf(), directory.to_path_buf());
        self.matches.entry(key).or_insert_with(|| found.to_vec());
    }

    /// Keeps an environment variable for a replay.
    pub(super) fn remember_variable(&mut self, name: &str, value: Option<&str>) {
        self.variables
            .insert(name.to_string(), value.map(str::to_string));
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    // No file is larger than 4 GiB, see `Span`.
    let starts = ends.filter_map(|(at, _)| u32::try_from(at.saturating_add(1)).ok());
    std::iter::once(0).chain(starts).collect()
}

/// Replays what was read, and nothing else.
impl Files for Sources {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        match self.reads.get(path) {
            Some(Ok(text)) => Ok(text.as_bytes().to_vec()),
            Some(Err(problem)) => Err(*problem),
            None => Err(FileProblem::Missing),
        }
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let key = (pattern.to_path_buf(), directory.to_path_buf());
        self.matches.get(&key).cloned().unwrap_or_default()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned().flatten()
    }
}

/// A file system in memory: path and text. Patterns match literally, with `*`
/// in the last part of the path; without one they match directories, too. For
/// tests.
impl Files for Vec<(PathBuf, Vec<u8>)> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileProblem> {
        self.iter()
            .find(|(known, _)| known == path)
            .map(|(_, bytes)| bytes.clone())
            .ok_or(FileProblem::Missing)
    }

    fn matching(&self, pattern: &Path, directory: &Path) -> Vec<PathBuf> {
        let whole = directory.join(pattern);
        let wanted = whole.to_string_lossy();
        let (before, after) = wanted.split_once('*').unwrap_or((&wanted, ""));
        let star = wanted.contains('*');
        let fits = |path: &Path| {
            let path = path.to_string_lossy();
            match path.strip_prefix(before) {
                Some(rest) if star => rest.ends_with(after) && !rest.contains('/'),
                Some(rest) => rest.is_empty(),
                None => false,
            }
        };
        let mut found: Vec<PathBuf> = self
            .iter()
            .map(|(path, _)| path.clone())
            .filter(|path| fits(path))
            .collect();
        let is_directory =
            |(path, _): &(PathBuf, _)| path.ancestors().skip(1).any(|up| up == whole);
        if !star && self.iter().any(is_directory) {
            found.push(whole.clone());
        }
        found.sort();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let mut sources = Sources::default();
        let (file, _) = sources.add(Path::new("k.conf"), "a\n中文 word\r\n".into(), None);
        let place = sources
            .place(Span {
                file,
                start: 9,
                end: 13,
            })
            .unwrap();
        assert_eq!((place.line, place.column, place.text), (2, 4, "中文 word"));
        assert_eq!(&place.text[place.start..place.end], "word");
    }

    #[test]
    fn a_replay_gives_the_same_answers() {
        let mut sources = Sources::default();
        sources.add(Path::new("/etc/k.conf"), b"include *.c\n".into(), None);
        sources.remember_read(Path::new("/etc/d"), Err(FileProblem::Directory));
        sources.remember_matches(
            Path::new("*.c"),
            Path::new("/etc"),
            &[PathBuf::from("/etc/a.c")],
        );
        let replay = Sources::from_bytes(&sources.to_bytes()).unwrap();
        assert_eq!(
            replay.read(Path::new("/etc/k.conf")).unwrap(),
            b"include *.c\n"
        );
        assert_eq!(
            replay.read(Path::new("/etc/d")),
            Err(FileProblem::Directory)
        );
        assert_eq!(
            replay.read(Path::new("/etc/other")),
            Err(FileProblem::Missing)
        );
        let found = replay.matching(Path::new("*.c"), Path::new("/etc"));
        assert_eq!(found, [PathBuf::from("/etc/a.c")]);
        assert_eq!(Sources::from_bytes(b"garbage").unwrap_err(), NotSources);

        let again = sources.questions().ask(&replay);
        assert!(again.answers_as(&sources));
        assert_eq!(again.to_bytes(), sources.to_bytes());
        sources.remember_read(Path::new("/etc/more"), Err(FileProblem::Missing));
        assert!(!again.answers_as(&sources));
        let other = vec![(PathBuf::from("/etc/k.conf"), b"include *.d\n".to_vec())];
        let other = again.questions().ask(&other);
        assert!(!other.answers_as(&again));
    }
}
