//! Which files the project consists of, and what in a Rust file is code.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::process::{command, stdout_of};

/// The project's files, relative to `root`, sorted: what git tracks or would track; without a git
/// repository at `root`, every file outside of `target` and hidden folders.
///
/// # Errors
/// [`Error::Failed`] when git fails, [`Error::Io`] when a folder cannot be read.
pub fn files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = if root.join(".git").exists() {
        let mut git = command("git", root);
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        String::from_utf8_lossy(&stdout_of(&mut git)?)
            .split_terminator('\0')
            .map(PathBuf::from)
            // A file that was deleted and not yet committed is still in the index.
            .filter(|file| root.join(file).is_file())
            .collect()
    } else {
        let mut found = Vec::new();
        walk(root, Path::new(""), &mut found)?;
        found
    };
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let dir = root.join(below);
    for entry in fs::read_dir(&dir).map_err(Error::io(&dir))? {
        let entry = entry.map_err(Error::io(&dir))?;
        let name = entry.file_name();
        let path = below.join(&name);
        let kind = entry.file_type().map_err(Error::io(&dir))?;
        if kind.is_dir() {
            let hidden_from_git = name == ".git" || name == "target";
            if !hidden_from_git {
                walk(root, &path, found)?;
            }
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads `file`, which is relative to `root`, as text; `None` when it is not UTF-8.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn text(root: &Path, file: &Path) -> Result<Option<String>, Error> {
    let path = root.join(file);
    let bytes = fs::read(&path).map_err(Error::io(&path))?;
    Ok(String::from_utf8(bytes).ok())
}

/// `text` with comments and the contents of literals replaced by spaces. Lines and columns stay
/// where they were, so that what is found in the code can be pointed at.
#[must_use]
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        if let Some(len) = not_code_len(rest, after_word) {
            let (blanked, tail) = rest.split_at(len);
            code.extend(blanked.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = tail;
            after_word = false;
        } else {
            code.push(first);
            after_word = is_word(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Length in bytes of the comment or literal that `rest` begins with.
fn not_code_len(rest: &str, after_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_len(rest));
    }
    if !after_word && let Some(len) = raw_string_len(rest) {
        return Some(len);
    }
    if rest.starts_with('"') {
        return Some(quoted_len(rest, '"'));
    }
    let inner = rest.strip_prefix('\'')?;
    let mut chars = inner.chars();
    match (chars.next()?, chars.next()) {
        ('\\', _) => Some(quoted_len(rest, '\'')),
        // Otherwise it is a lifetime or a label.
        (_, Some('\'')) => Some(quoted_len(rest, '\'')),
        _ => None,
    }
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str) -> Option<usize> {
    let bare = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let after_r = bare.strip_prefix('r')?;
    let body = after_r.trim_start_matches('#');
    let hashes = &after_r[..after_r.len() - body.len()];
    let body = body.strip_prefix('"')?;
    let close = format!("\"{hashes}");
    let body_len = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(rest.len() - body.len() + body_len)
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

/// Whether `c` can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Whether `line` has `word` standing alone, not as a part of a longer identifier.
#[must_use]
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The first line, counted from 0, that belongs to the tests of a file, given its path below the
/// root and its [code](code_only); `None` when it has none. Tests stand last in a file.
#[must_use]
pub fn first_test_line(path: &Path, code: &str) -> Option<usize> {
    let in_test_folder = path.iter().skip(2).any(|part| part == "tests");
    let named_so = path.file_stem().is_some_and(|stem| {
        let stem = stem.to_string_lossy();
        stem == "tests" || stem.ends_with("_tests")
    });
    if in_test_folder || named_so {
        return Some(0);
    }
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    lines.iter().enumerate().find_map(|(at, line)| {
        let gated = line.starts_with("#[cfg(") && has_word(line, "test");
        let item = lines[at + 1..].iter().find(|next| !next.is_empty() && !next.starts_with("#["));
        let module = item.is_some_and(|item| has_word(item, "mod") && item.ends_with('{'));
        (gated && module).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x \" y") + 1"#, r"f(        ) + 1"),
            (r###"f(r#"a "b" c"#)"###, r"f(            )"),
            ("f(b\"ab\", 'x', '\\'', 'é')", "f(b    ,    ,     ,     )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#fn + var\"x\"", "r#fn + var   "),
            ("\"two\nlines\" z", "    \n       z"),
            ("/* open", "       "),
            ("\"open", "     "),
        ] {
            assert_eq!(code_only(text), code, "for {text:?}");
        }
    }

    #[test]
    fn lines_stay_where_they_were() {
        let text = "/* a\n b */ fn x() { \"c\nd\" }\n// e\nfn y() {}\n";
        assert_eq!(code_only(text).lines().count(), text.lines().count());
        assert!(code_only(text).lines().nth(4).is_some_and(|line| line == "fn y() {}"));
    }

    #[test]
    fn a_word_stands_alone() {
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(has_word("(unsafe)", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(!has_word("not_unsafe", "unsafe"));
    }

    #[test]
    fn tests_are_found_by_place_name_and_gate() {
        let at = |path: &str, code: &str| first_test_line(Path::new(path), code);
        assert_eq!(at("crates/a/tests/it/main.rs", "fn f() {}"), Some(0));
        assert_eq!(at("crates/a/src/b/tests.rs", "fn f() {}"), Some(0));
        assert_eq!(at("crates/a/src/b.rs", "fn f() {}"), None);
        assert_eq!(at("crates/a/src/b.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n}"), Some(1));
        assert_eq!(at("crates/a/src/b.rs", "#[cfg(all(test, loom))]\nmod m {\n}"), Some(0));
        assert_eq!(at("crates/a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn f() {}"), None);
        assert_eq!(at("crates/a/src/b.rs", "#[cfg(test)]\nfn helper() {}"), None);
    }
}
