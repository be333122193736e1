//! Files as people write them: each loads, is saved as the same bytes, and an edit of one section leaves
//! all others alone.

mod awkward;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ggml_agent_doc::markdown::{Place, headings};
use ggml_agent_doc::{Coordinator, Document, Edit, Holder, LoadError};

/// What the acceptance asks for.
const FILES_MIN: usize = 30;
/// Enough to meet every habit, also where the cache holds thousands: 400 take about 3 s of a debug build.
const FILES_MAX: usize = 400;
/// Sections of a document that are edited; all of most files.
const EDITED_MAX: usize = 8;

#[test]
fn real_files_are_saved_byte_for_byte_and_an_edit_changes_nothing_else() {
    let folder = registry_sources();
    let mut contents = BTreeSet::new();
    let mut n_loaded = 0;
    for path in markdown_files(&folder).into_iter().take(FILES_MAX) {
        let bytes = fs::read(&path).unwrap();
        if !contents.insert(bytes.clone()) {
            continue;
        }
        let name = path.display().to_string();
        match Document::from_bytes(&bytes) {
            Ok(document) => {
                check(&name, &bytes, &document);
                n_loaded += 1;
            }
            Err(LoadError::NotUtf8 { .. }) => {
                assert!(std::str::from_utf8(&bytes).is_err(), "{name}")
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    println!("{n_loaded} files, no two alike");
    assert!(
        n_loaded >= FILES_MIN,
        "{n_loaded} different Markdown files below {}, {FILES_MIN} are needed: \
         run `cargo fetch`, or set CARGO_HOME to where the sources of the dependencies are",
        folder.display()
    );
}

/// Where cargo unpacks the packages that this workspace is built from.
fn registry_sources() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME")
            .or_else(|| std::env::var_os("USERPROFILE"))
            .map(|home| Path::new(&home).join(".cargo"))
    });
    home.unwrap_or_default().join("registry").join("src")
}

/// The Markdown files at the top of each package, in the order of their names.
fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    let packages =
        entries(folder).iter().flat_map(|registry| entries(registry)).collect::<Vec<_>>();
    let files = packages.iter().flat_map(|package| entries(package));
    files
        .filter(|path| {
            path.extension().is_some_and(|end| end.eq_ignore_ascii_case("md")) && path.is_file()
        })
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    // What is not a folder has none; too few files in the end are what is told.
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Everything that is promised of `document`, which was loaded from `bytes`.
fn check(name: &str, bytes: &[u8], document: &Document) {
    // As strings: a difference is then shown, and not a million numbers.
    let source = std::str::from_utf8(bytes).unwrap();
    assert!(document.to_markdown() == source, "{name}: saved as other bytes");
    let (sections, front) = (document.sections(), document.front());
    let joined: String = sections.iter().map(|section| section.text()).collect();
    assert!(format!("{front}{joined}") == source, "{name}: the sections are not the source");
    for section in sections {
        let id = section.id();
        let alone = headings(section.text());
        let cuts: Vec<_> = alone.iter().filter(|found| found.place == Place::Top).collect();
        match (section.heading(), &cuts[..]) {
            (None, []) => assert_eq!(section.id(), sections[0].id(), "{name}"),
            // Its title may differ: `[name]` is a link only where its definition is, in another section.
            (Some(heading), [cut]) => {
                assert_eq!(cut.range.start, 0, "{name} {id}");
                assert_eq!((&cut.range, cut.level), (&heading.range, heading.level), "{name} {id}");
            }
            (heading, cuts) => panic!("{name} {id}: {heading:?} alone is {cuts:?}"),
        }
    }
    check_edits(name, document);
}

/// A section that is replaced by itself changes nothing; one that gets another sentence changes only there.
fn check_edits(name: &str, document: &Document) {
    let mut coordinator = Coordinator::new(document);
    let writer = Holder::new("writer".parse().unwrap(), 1);
    let mut texts: Vec<String> =
        document.sections().iter().map(|section| section.text().to_owned()).collect();
    let mut edit = |index: usize, base: u64, texts: &[String]| {
        let id = document.sections()[index].id();
        let edit = Edit::optimistic(id, base, &*texts[index]);
        let step = coordinator.edit(&writer, edit, Duration::ZERO);
        let accepted = step.answer.unwrap_or_else(|error| panic!("{name} {id} at {base}: {error}"));
        assert_eq!(accepted.version, base + 1, "{name} {id}");
        let expected: String = texts.iter().map(String::as_str).collect();
        let saved = coordinator.to_markdown();
        assert!(
            saved == format!("{}{expected}", document.front()),
            "{name} {id} at {base}: another section changed"
        );
    };
    for index in choose(document.sections().len(), bytes_sum(name)) {
        edit(index, 0, &texts);
        let section = &document.sections()[index];
        texts[index] =
            format!("{}\nOne more sentence.\n\n{}", section.heading_source(), section.body());
        edit(index, 1, &texts);
    }
    let again = Document::parse(&coordinator.to_markdown()).unwrap();
    let cuts = again.sections().iter().map(|section| section.text());
    assert!(cuts.eq(&texts), "{name}: the edited document is cut elsewhere");
}

/// Up to [`EDITED_MAX`] different indexes below `n`, from anywhere, the last of all among them.
fn choose(n: usize, seed: usize) -> BTreeSet<usize> {
    if n <= EDITED_MAX {
        return (0..n).collect();
    }
    // A stride that is prime to most lengths: what it meets twice is only met less often.
    let indexes = (0..EDITED_MAX - 1).map(|nth| (seed + nth * 7_919) % n);
    indexes.chain([n - 1]).collect()
}

/// The same for the same file on every machine, whatever its cache holds.
fn bytes_sum(name: &str) -> usize {
    let name = Path::new(name).components().rev().take(2);
    name.map(|part| part.as_os_str().to_string_lossy().bytes().map(usize::from).sum::<usize>())
        .sum()
}
