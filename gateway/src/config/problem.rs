//! What is wrong with the documents, and where.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most problems kept; of those beyond, only the number is.
const MOST: usize = 1000;

/// Most characters of a value that a problem repeats.
const MOST_QUOTED: usize = 60;

/// A file that documents come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Its place among all files.
    pub index: usize,
    /// What to call it.
    pub name: String,
}

/// A document's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Which document of the file, from 1; `None` if it is about the file as a whole.
    pub document: Option<usize>,
    /// `namespace/name`, once known.
    pub app: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The line, from 1, if known.
    pub line: Option<usize>,
    /// The column, from 1, if known.
    pub column: Option<usize>,
    /// The field, such as `spec.scaling.target`; empty for the document as a whole.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// One thing that is wrong with an app, wherever that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The field, such as `spec.scaling.target`; empty for the app as a whole.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// All that is wrong. Displayed one to a line, the last line counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    left_out: usize,
}

/// Takes the problems of one document.
pub struct Report<'a> {
    /// Where all of them are.
    pub place: &'a Arc<Place>,
    /// Where they go.
    pub problems: &'a mut Problems,
}

// === impl Place ===

impl Place {
    /// The file as a whole.
    pub fn file(source: Arc<Source>) -> Self {
        Self { source, document: None, app: None }
    }
}

// === impl Report ===

impl Report<'_> {
    /// Adds a problem of `field` at `line`.
    pub fn add(&mut self, line: usize, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            place: Place::clone(self.place),
            line: Some(line),
            column: None,
            field: field.into(),
            message: message.into(),
        });
    }
}

// === impl Problems ===

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() < MOST {
            self.list.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len() + self.left_out
    }

    /// Sorts them by file and line.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| (problem.place.source.index, problem.line));
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.source.name)?;
        for position in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{position}")?;
        }
        match (self.place.document, &self.place.app) {
            (Some(number), Some(app)) => write!(f, ": document {number} ({app})")?,
            (Some(number), None) => write!(f, ": document {number}")?,
            (None, _) => {}
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "… and {} more", self.left_out)?;
        }
        write!(f, "{} {}", self.len(), if self.len() == 1 { "problem" } else { "problems" })
    }
}

impl std::error::Error for Problems {}

/// What a file is called in problems.
pub fn file_name(path: &Path) -> String {
    quotable(&path.to_string_lossy(), usize::MAX).into_owned()
}

/// `text` in backticks, short and on one line.
pub fn quoted(text: &str) -> String {
    format!("`{}`", quotable(text, MOST_QUOTED))
}

/// `text` without control characters, and cut after `most` characters.
pub fn quotable(text: &str, most: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(most).map(|(index, _)| index);
    if end.is_none() && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    for c in text[..end.unwrap_or(text.len())].chars() {
        if c.is_control() { short.extend(c.escape_default()) } else { short.push(c) }
    }
    if end.is_some() {
        short.push('…');
    }
    Cow::Owned(short)
}
