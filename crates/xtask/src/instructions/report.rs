//! The page with the counts: written, read back and compared.

use std::fmt;
use std::str::FromStr;

use super::profile::Profile;

/// Functions that are listed for each path.
const FUNCTIONS_MAX: usize = 5;
/// A path that has changed by more than so many percent is reported.
const TOLERANCE_PERCENT: u64 = 2;
/// Longer names of functions are cut: type parameters of type parameters say nothing to a reader.
const NAME_LEN_MAX: usize = 100;

/// The counts of all paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Date, compiler, target, valgrind.
    pub(super) made_with: Vec<(String, String)>,
    pub(super) paths: Vec<Counted>,
}

/// What one operation of a path takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) instructions: u64,
    /// Most first; of the function itself.
    pub(super) functions: Vec<(String, u64)>,
}

impl Counted {
    /// From a run with `n` operations and one with twice as many.
    pub(super) fn between(name: &str, what: &str, n: u64, once: &Profile, twice: &Profile) -> Self {
        let each = |once: u64, twice: u64| (twice.saturating_sub(once) + n / 2) / n;
        let of = |(name, twice): (&String, &u64)| {
            let once = once.functions.get(name).copied().unwrap_or(0);
            (name.clone(), each(once, *twice))
        };
        let mut functions: Vec<_> = twice.functions.iter().map(of).filter(|f| f.1 > 0).collect();
        functions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        functions.truncate(FUNCTIONS_MAX);
        let instructions = each(once.total, twice.total);
        Self { name: name.to_owned(), what: what.to_owned(), instructions, functions }
    }
}

impl Report {
    /// Facts that are not the same in both, except for the date: name, ours, theirs.
    pub(super) fn differently_made<'a>(
        &'a self,
        after: &'a Self,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let both = self.made_with.iter().zip(&after.made_with);
        both.filter(|(was, is)| was != is && was.0 != "date")
            .map(|(was, is)| (was.0.as_str(), was.1.as_str(), is.1.as_str()))
    }

    /// The paths that have come, gone, or changed by more than [`TOLERANCE_PERCENT`].
    pub(super) fn changes(&self, after: &Self) -> Vec<String> {
        let find = |report: &Self, name: &str| {
            report.paths.iter().find(|path| path.name == name).map(|path| path.instructions)
        };
        let gone = self.paths.iter().filter(|path| find(after, &path.name).is_none());
        let gone = gone.map(|path| format!("{} is not counted any more", path.name));
        let changed = after.paths.iter().filter_map(|path| {
            let (name, is) = (&path.name, path.instructions);
            let Some(was) = find(self, name) else { return Some(format!("{name} is new: {is}")) };
            let differs = was.abs_diff(is) * 100 > was * TOLERANCE_PERCENT;
            let tenths = was.abs_diff(is) * 1_000 / was.max(1);
            let sign = if is > was { '+' } else { '-' };
            let (whole, tenth) = (tenths / 10, tenths % 10);
            differs.then(|| format!("{name}: {was} -> {is} ({sign}{whole}.{tenth} %)"))
        });
        gone.chain(changed).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "# Instructions per operation\n\n\
             Written by `cargo xtask instructions`; `cargo xtask instructions --check` says what has changed by\n\
             more than 2 %. Each path of `crates/runtime/benches/instructions.rs` runs under valgrind's callgrind\n\
             with N and with 2N operations; the difference is divided by N. One thread, the release profile, a\n\
             clock that advances by 250 ns at each look. Sending, handling and waking are all counted; the kernel\n\
             is not. Instructions are no time: a miss of the cache or a locked instruction counts as one.\n\n",
        )?;
        for (key, value) in &self.made_with {
            writeln!(f, "- {key}: {value}")?;
        }
        f.write_str("\n| path | instructions | one operation |\n|---|--:|---|\n")?;
        for Counted { name, what, instructions, .. } in &self.paths {
            writeln!(f, "| {name} | {instructions} | {what} |")?;
        }
        f.write_str(
            "\n## Where they go\n\n\
             The functions that take most of them, each without what it calls; what is inlined into it is its own.\n\n\
             | in | instructions | function |\n|---|--:|---|\n",
        )?;
        for path in &self.paths {
            for (function, instructions) in &path.functions {
                writeln!(f, "| {} | {instructions} | `{}` |", path.name, Short(function))?;
            }
        }
        Ok(())
    }
}

/// A name of at most [`NAME_LEN_MAX`] characters that cannot end a cell of a table.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars().map(|c| if matches!(c, '|' | '`') { ' ' } else { c });
        let name: String = chars.by_ref().take(NAME_LEN_MAX).collect();
        f.write_str(&name)?;
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// Reads facts and counts; the functions are for people.
impl FromStr for Report {
    type Err = String;

    fn from_str(page: &str) -> Result<Self, String> {
        let counts = page.split("\n## ").next().unwrap_or(page);
        let fact = |line: &str| {
            let (key, value) = line.strip_prefix("- ")?.split_once(": ")?;
            Some((key.to_owned(), value.to_owned()))
        };
        let count = |line: &str| {
            let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            let (name, instructions) = (cells.next()?, cells.next()?.parse().ok()?);
            let what = cells.next()?.to_owned();
            Some(Counted { name: name.to_owned(), what, instructions, functions: Vec::new() })
        };
        let made_with = counts.lines().filter_map(fact).collect();
        let paths: Vec<Counted> = counts.lines().filter_map(count).collect();
        if paths.is_empty() {
            return Err("has no counts: write it with `cargo xtask instructions`".to_owned());
        }
        Ok(Self { made_with, paths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(name: &str, instructions: u64) -> Counted {
        let what = format!("a {name}, `send().await`");
        let functions = vec![("a::b".to_owned(), instructions / 2)];
        Counted { name: name.to_owned(), what, instructions, functions }
    }

    fn report(paths: &[(&str, u64)]) -> Report {
        let facts = [("date", "2026-01-02"), ("rustc", "1.95.0 (x 2026-01-01)")];
        let made_with = facts.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        Report { made_with, paths: paths.iter().map(|(name, n)| counted(name, *n)).collect() }
    }

    fn profile(total: u64, functions: &[(&str, u64)]) -> Profile {
        let functions = functions.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        Profile { total, functions }
    }

    #[test]
    fn an_operation_is_the_difference_of_two_runs() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let once: Vec<_> = names.iter().map(|name| (*name, 500)).collect();
        let mut twice: Vec<_> = (1..).zip(names).map(|(i, name)| (name, 500 + 100 * i)).collect();
        twice.push(("only in the second", 1_000));
        let counted =
            Counted::between("x", "an x", 100, &profile(10_000, &once), &profile(14_249, &twice));
        // 42.49 are 42, and the five most of seven.
        assert_eq!(counted.instructions, 42);
        let functions: Vec<_> = counted.functions.iter().map(|(f, n)| (f.as_str(), *n)).collect();
        assert_eq!(functions, [("only in the second", 10), ("f", 6), ("e", 5), ("d", 4), ("c", 3)]);
    }

    #[test]
    fn a_page_is_read_back() {
        let mut written = report(&[("tell", 358), ("ask-from-agent", 1_241)]);
        let read: Report = written.to_string().parse().unwrap();
        for path in &mut written.paths {
            path.functions.clear();
        }
        assert_eq!(read, written);
        assert!("# Instructions\n".parse::<Report>().is_err());
    }

    #[test]
    fn more_than_two_percent_is_a_change_in_either_direction() {
        let before = report(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000), ("gone", 1)]);
        let after = report(&[("a", 1_020), ("b", 1_021), ("c", 980), ("d", 950), ("new", 7)]);
        let expected = [
            "gone is not counted any more",
            "b: 1000 -> 1021 (+2.1 %)",
            "d: 1000 -> 950 (-5.0 %)",
            "new is new: 7",
        ];
        assert_eq!(before.changes(&after), expected);
        assert_eq!(before.changes(&before), [""; 0]);
    }

    #[test]
    fn another_compiler_is_noted_and_another_day_is_not() {
        let before = report(&[("a", 1)]);
        let mut after = before.clone();
        after.made_with[0].1 = "2027-01-01".to_owned();
        assert_eq!(before.differently_made(&after).count(), 0);
        after.made_with[1].1 = "1.96.0".to_owned();
        let notes: Vec<_> = before.differently_made(&after).collect();
        assert_eq!(notes, [("rustc", "1.95.0 (x 2026-01-01)", "1.96.0")]);
    }

    #[test]
    fn a_long_name_is_cut_and_breaks_no_table() {
        let name = format!("a|b`c::{}", "x".repeat(200));
        let short = Short(&name).to_string();
        assert!(short.starts_with("a b c::x") && short.ends_with("x…"), "{short}");
        assert_eq!(short.chars().count(), NAME_LEN_MAX + 1);
        assert_eq!(Short("a::b").to_string(), "a::b");
    }
}
