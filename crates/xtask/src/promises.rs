//! From promise to proof: the statements of `docs/semantics.md` and the tests that carry their
//! numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Error, source};

/// The chapters of the semantics and how many promises each had when this was written. A promise is
/// never withdrawn and its number never given to another, so a chapter can only grow.
const CHAPTERS: [(char, u8); 7] =
    [('M', 13), ('S', 34), ('B', 9), ('R', 7), ('G', 6), ('D', 24), ('Q', 14)];

/// Where the promises stand, below the root.
pub const SEMANTICS: &str = "docs/semantics.md";

/// The number of a promise, such as S7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromiseId {
    chapter_idx: usize,
    number: u8,
}

impl PromiseId {
    /// What the name of each of its tests begins with: `s07`.
    #[must_use]
    pub fn test_prefix(self) -> String {
        format!("{}{:02}", CHAPTERS[self.chapter_idx].0.to_ascii_lowercase(), self.number)
    }

    /// The promise whose test prefix `segment` is; two digits exactly.
    fn from_test_segment(segment: &str) -> Option<Self> {
        let lower = segment.chars().next()?.is_ascii_lowercase();
        let id: Self = segment.to_ascii_uppercase().parse().ok()?;
        (lower && segment.len() == 3).then_some(id)
    }
}

impl fmt::Display for PromiseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", CHAPTERS[self.chapter_idx].0, self.number))
    }
}

/// A text that is not the number of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the number of a promise: a chapter (M, S, B, R, G or D) and 1 to 99")]
pub struct ParsePromiseIdError;

impl FromStr for PromiseId {
    type Err = ParsePromiseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = text.chars().next().ok_or(ParsePromiseIdError)?;
        let chapter_idx = CHAPTERS.iter().position(|(chapter, _)| *chapter == letter);
        let chapter_idx = chapter_idx.ok_or(ParsePromiseIdError)?;
        let digits = &text[letter.len_utf8()..];
        let plain = matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().map_err(|_| ParsePromiseIdError)?;
        if !plain || number == 0 {
            return Err(ParsePromiseIdError);
        }
        Ok(Self { chapter_idx, number })
    }
}

/// One statement of the semantics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Its number.
    pub id: PromiseId,
    /// Whether it is marked `(planned)`: said, but not kept yet.
    pub planned: bool,
    /// Its text, on one line, without the number and the mark.
    pub text: String,
}

/// A test function that names at least one promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTest {
    /// The promises that its name begins with.
    pub ids: Vec<PromiseId>,
    /// Its name.
    pub name: String,
    /// Its file, below the root.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
}

/// The promises found in the text of the semantics, in order.
///
/// A promise is said in a list item that begins with its number, bold or not; the same item may say
/// further ones, each at the beginning of a sentence or bold. A number anywhere else is a reference.
///
/// # Errors
/// What is wrong: a number said twice, or one missing from its chapter.
pub fn parse_statements(markdown: &str) -> Result<Vec<Promise>, String> {
    let mut promises: BTreeMap<PromiseId, Promise> = BTreeMap::new();
    for item in list_items(markdown) {
        for promise in promises_in(&item) {
            let id = promise.id;
            if promises.insert(id, promise).is_some() {
                return Err(format!(
                    "{id} is said twice; inside a sentence a number is a reference"
                ));
            }
        }
    }
    for (chapter_idx, &(chapter, n_min)) in CHAPTERS.iter().enumerate() {
        let of_chapter = promises.keys().filter(|id| id.chapter_idx == chapter_idx);
        let last = of_chapter.map(|id| id.number).max().unwrap_or(0).max(n_min);
        for number in 1..=last {
            if !promises.contains_key(&PromiseId { chapter_idx, number }) {
                return Err(format!("{chapter}{number} is missing; a number is never withdrawn"));
            }
        }
    }
    Ok(promises.into_values().collect())
}

/// The items of the unindented `-` lists of `markdown`, each as one line.
fn list_items(markdown: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut open = false;
    for line in markdown.lines() {
        if let Some(first) = line.strip_prefix("- ") {
            items.push(first.trim().to_owned());
            open = true;
        } else if open && line.starts_with(' ') {
            let item = items.last_mut().expect("invariant: an item is open");
            item.push(' ');
            item.push_str(line.trim());
        } else {
            open = false;
        }
    }
    items
}

fn promises_in(item: &str) -> Vec<Promise> {
    let mut promises: Vec<Promise> = Vec::new();
    let mut begins_sentence = true;
    for word in item.split_whitespace() {
        let bare = word.trim_matches('*');
        let bold = word.starts_with("**") && word.ends_with("**");
        let first = promises.is_empty();
        match bare.parse::<PromiseId>() {
            Ok(id) if begins_sentence || (bold && !first) => {
                promises.push(Promise { id, planned: false, text: String::new() });
            }
            // An item that does not begin with a number is prose.
            _ if first => return promises,
            _ => {
                let said = promises.last_mut().expect("invariant: not the first word");
                if bare == "(planned)" && said.text.is_empty() {
                    said.planned = true;
                } else {
                    if !said.text.is_empty() {
                        said.text.push(' ');
                    }
                    said.text.push_str(word);
                }
            }
        }
        begins_sentence = bare.ends_with('.');
    }
    promises
}

/// The tests in `text`, a Rust file, whose names begin with numbers of promises.
///
/// A test is a function with an attribute whose path ends in `test` and that is not ignored.
#[must_use]
pub fn tests_in(file: &Path, text: &str) -> Vec<NamedTest> {
    let code = source::code_only(text);
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let mut tests = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let ids = ids_of(name);
        // Attributes stand between the end of the item before and the function.
        let begin = lines[..at].iter().rposition(|l| l.ends_with(['}', ';', '{']));
        let attributes = lines[begin.map_or(0, |at| at + 1)..=at].join(" ");
        if !ids.is_empty() && is_test(&attributes) {
            let (name, file) = (name.to_owned(), file.to_path_buf());
            tests.push(NamedTest { ids, name, file, line: at + 1 });
        }
    }
    tests
}

fn function_name(line: &str) -> Option<&str> {
    let before = line.find("fn ").filter(|at| {
        let head = line[..*at].chars().next_back();
        !head.is_some_and(source::is_word)
    })?;
    let tail = line[before + 3..].trim_start();
    let len = tail.find(|c| !source::is_word(c)).unwrap_or(tail.len());
    Some(&tail[..len]).filter(|name| !name.is_empty())
}

fn ids_of(name: &str) -> Vec<PromiseId> {
    name.split('_').map_while(PromiseId::from_test_segment).collect()
}

fn is_test(attributes: &str) -> bool {
    let mut paths = attributes.split("#[").skip(1).map(|attribute| {
        let len = attribute.find(|c| !source::is_word(c) && c != ':').unwrap_or(attribute.len());
        &attribute[..len]
    });
    let mut is_test = false;
    let ignored = paths.any(|path| {
        is_test |= path.rsplit("::").next() == Some("test");
        path == "ignore"
    });
    is_test && !ignored
}

/// Every promise with its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    rows: Vec<(Promise, Vec<NamedTest>)>,
    strays: Vec<(PromiseId, NamedTest)>,
}

impl Ledger {
    /// Puts each test beside the promises that its name carries.
    #[must_use]
    pub fn new(promises: Vec<Promise>, tests: &[NamedTest]) -> Self {
        let with_tests = |promise: Promise| {
            let of_it = tests.iter().filter(|test| test.ids.contains(&promise.id));
            let of_it = of_it.cloned().collect();
            (promise, of_it)
        };
        let rows: Vec<_> = promises.into_iter().map(with_tests).collect();
        let said = |id: &PromiseId| rows.iter().any(|(promise, _)| promise.id == *id);
        let mut strays = Vec::new();
        for test in tests {
            let unsaid = test.ids.iter().filter(|id| !said(id));
            strays.extend(unsaid.map(|id| (*id, test.clone())));
        }
        Self { rows, strays }
    }

    /// Reads the semantics and the tests of the repository at `root`.
    ///
    /// # Errors
    /// [`Error::Form`] when the semantics are not in the form of [`parse_statements`], [`Error::Io`]
    /// and [`Error::Failed`] when files cannot be found or read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let semantics = Path::new(SEMANTICS);
        let form = |why: String| Error::Form { path: semantics.to_path_buf(), why };
        let markdown =
            source::text(root, semantics)?.ok_or_else(|| form("not UTF-8".to_owned()))?;
        let promises = parse_statements(&markdown).map_err(form)?;
        let mut tests = Vec::new();
        for file in source::files(root)? {
            let rust = file.starts_with("crates") && file.extension().is_some_and(|e| e == "rs");
            if rust && let Some(text) = source::text(root, &file)? {
                tests.extend(tests_in(&file, &text));
            }
        }
        Ok(Self::new(promises, &tests))
    }

    /// What is wrong, one sentence each: a promise without a test, a planned promise with one, a
    /// test that carries a number which no promise has.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (promise, tests) in &self.rows {
            let id = promise.id;
            match (promise.planned, tests.first()) {
                (false, None) => problems.push(format!(
                    "{id} has no test: write one named `{}_...` ({})",
                    id.test_prefix(),
                    shortened(&promise.text)
                )),
                (true, Some(test)) => problems.push(format!(
                    "{id} is marked planned but {} tests it: take the mark from {SEMANTICS}",
                    test.name
                )),
                (true, None) | (false, Some(_)) => {}
            }
        }
        problems.extend(self.strays.iter().map(|(id, test)| {
            let (name, file, line) = (&test.name, test.file.display(), test.line);
            format!("{name} ({file}:{line}) carries {id}, which {SEMANTICS} does not have")
        }));
        problems
    }

    /// One line: how many promises there are, how many of them are kept by how many tests.
    #[must_use]
    pub fn summary(&self) -> String {
        let planned = self.rows.iter().filter(|(promise, _)| promise.planned).count();
        let tested =
            self.rows.iter().filter(|(promise, tests)| !promise.planned && !tests.is_empty());
        let mut n_tested = 0;
        let mut names: Vec<(&Path, &str)> = Vec::new();
        for (_, tests) in tested {
            n_tested += 1;
            names.extend(tests.iter().map(|test| (test.file.as_path(), test.name.as_str())));
        }
        names.sort_unstable();
        names.dedup();
        let (n, n_tests) = (self.rows.len() - planned, names.len());
        format!("{n_tested} of {n} promises have tests ({n_tests} tests), {planned} are planned")
    }
}

/// The whole table: each kept promise with its tests, then the planned ones.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, tests) in self.rows.iter().filter(|(promise, _)| !promise.planned) {
            let id = promise.id;
            for (at, test) in tests.iter().enumerate() {
                let id = if at == 0 { id.to_string() } else { String::new() };
                writeln!(f, "{id:<4} {}  {}:{}", test.name, test.file.display(), test.line)?;
            }
            if tests.is_empty() {
                writeln!(f, "{id:<4} NO TEST")?;
            }
        }
        for (promise, _) in self.rows.iter().filter(|(promise, _)| promise.planned) {
            writeln!(f, "{:<4} planned: {}", promise.id, shortened(&promise.text))?;
        }
        writeln!(f, "{}", self.summary())
    }
}

fn shortened(text: &str) -> String {
    const LEN_MAX: usize = 72;
    match text.char_indices().nth(LEN_MAX) {
        Some((at, _)) => format!("{} ...", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
