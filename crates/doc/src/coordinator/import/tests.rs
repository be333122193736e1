//! What an outside change of a file becomes, and that nothing is lost on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use ggml_agent_core::lease::OnBusy;

use super::*;
use crate::coordinator::{Edit, Kind, Lock};
use crate::soup::{Rng, each, soup};

const NOW: Duration = Duration::from_secs(1);

fn agent() -> Holder {
    Holder::new("writer".parse().unwrap(), 1)
}

fn file() -> Holder {
    Holder::of(Kind::File, "file".parse().unwrap(), 1)
}

/// A document, and what its file holds.
fn house(text: &str) -> (Coordinator, BaseText) {
    let document = Coordinator::new(&Document::parse(text).unwrap());
    let base = BaseText::from(&document.snapshot());
    (document, base)
}

fn import(document: &mut Coordinator, base: &BaseText, text: &str) -> Imported {
    let imported = document.import(&file(), base, text, NOW).answer.unwrap();
    assert!(imported.base.is(text), "the base is the file: {imported:?}");
    imported
}

fn edit(document: &mut Coordinator, n: usize, text: &str) {
    let section = SectionId::nth(n);
    let base = document.read(section).unwrap().version;
    let edit = Edit::optimistic(section, base, text);
    document.edit(&agent(), edit, NOW).answer.unwrap();
}

fn ids(document: &Coordinator) -> Vec<String> {
    document.snapshot().sections.iter().map(|section| section.id.to_string()).collect()
}

const ABC: &str =
    "# A\n\nOne ape. Two apes.\n\n# B\n\nOne bee. Two bees.\n\n# C\n\nOne cat. Two cats.\n";

#[test]
fn d24_an_outside_change_keeps_the_names_of_sections() {
    let long = "one two three four five six seven eight nine ten";
    // What the file was, what it became, and the sections then.
    let rows: &[(&str, &str, &str)] = &[
        (
            ABC,
            "# A\n\nOne ape.\n\n# B\n\nOne bee. Two bees.\n\n# C\n\nOne cat. Two cats.\n",
            "s1 s2 s3",
        ),
        // A new one at each place.
        ("# A\n\n# B\n", "# N\n\n# A\n\n# B\n", "s3 s1 s2"),
        ("# A\n\n# B\n", "# A\n\n# N\n\n# B\n", "s1 s3 s2"),
        ("# A\n\n# B\n", "# A\n\n# B\n\n# N\n", "s1 s2 s3"),
        // One that is gone, at each place.
        (ABC, "# B\n\nOne bee. Two bees.\n\n# C\n\nOne cat. Two cats.\n", "s2 s3"),
        (ABC, "# A\n\nOne ape. Two apes.\n\n# C\n\nOne cat. Two cats.\n", "s1 s3"),
        (ABC, "# A\n\nOne ape. Two apes.\n\n# B\n\nOne bee. Two bees.\n", "s1 s2"),
        // Another order.
        ("# A\n\n# B\n\n# C\n\n", "# C\n\n# A\n\n# B\n\n", "s3 s1 s2"),
        ("# A\n\n# B\n\n# C\n\n", "# B\n\n# C\n\n# A\n\n", "s2 s3 s1"),
        ("# A\n\n1\n\n# B\n\n2\n\n", "# B\n\n2 3\n\n# A\n\n1\n\n", "s2 s1"),
        // Renamed, and moved as well.
        ("# A\n\nText.\n\n# B\n\nMore.\n", "# X\n\nText.\n\n# B\n\nMore.\n", "s1 s2"),
        ("# A\n\nText.\n\n# B\n\nMore.\n\n", "# B\n\nMore.\n\n# X\n\nText.\n\n", "s2 s1"),
        // Renamed and rewritten in part.
        ("# A\n\n0\n\n# B\n\n1\n", "# A\n\n0\n\n# X\n\nall new here\n", "s1 s3"),
        (
            &format!("# A\n\n{long} end\n\n# B\n"),
            &format!("# Other\n\n{long} fin\n\n# B\n"),
            "s1 s2",
        ),
        // Equal headings.
        ("# E\n\na\n\n# E\n\nb\n\n# E\n\nc\n", "# E\n\na\n\n# E\n\nc\n", "s1 s3"),
        ("# E\n\na\n\n# E\n\nb\n", "# E\n\na\n\n# N\n\n# E\n\nb!\n", "s1 s3 s2"),
        ("# E\n\na\n\n# E\n\nb 1 2\n", "# E\n\nb 1 2 3\n", "s2"),
        // What stands before the first heading.
        ("# A\n", "Intro.\n\n# A\n", "s2 s1"),
        ("Intro.\n\n# A\n", "# A\n", "s2"),
        ("Intro.\n\n# A\n", "Quite another.\n\n# A\n", "s1 s2"),
        ("", "# A\n", "s1 s2"),
        ("", "Text.\n", "s1"),
        ("# A\n", "", "s2"),
        ("# A\n\ntext\n# B\n", "# A\n\ntext\nmore\n# B\n", "s1 s2"),
        // Front matter.
        ("---\na: 1\n---\n# A\n", "---\na: 2\n---\n# A\n", "s1"),
        ("# A\n", "---\na: 2\n---\n# A\n", "s1"),
        ("---\na: 1\n---\n# A\n", "# A\n", "s1"),
        ("# A\n", "\u{feff}# A\n", "s1"),
        // A heading that is not one any more, and the other way round.
        ("# A\n\nx\n\n# B\n\ny\n", "# A\n\nx\n\n```\n# B\n\ny\n```\n", "s1"),
        ("# A\n\nx\n\n```\n# B\n```\n", "# A\n\nx\n\n# B\n", "s1 s2"),
    ];
    for (was, is, sections) in rows {
        let (mut document, base) = house(was);
        let imported = import(&mut document, &base, is);
        assert_eq!(imported.conflicts, [], "{was:?} -> {is:?}");
        assert_eq!(document.to_markdown(), *is, "{was:?}");
        assert_eq!(ids(&document).join(" "), *sections, "{was:?} -> {is:?}");
        let seq = imported.seq.unwrap();
        let update = document.history().get(seq).unwrap();
        assert_eq!((seq, &update.cause, &update.author), (1, &Cause::File, &file()));
    }
}

#[test]
fn d24_a_section_that_holds_several_headings_stays_one() {
    let (mut document, _) = house("# A\n\n# Z\n");
    edit(&mut document, 0, "# A\n\n# A1\n\n1\n\n# A2\n\n2\n\n");
    let base = BaseText::from(&document.snapshot());
    let text = "# A\n\n# A1\n\n1!\n\n# New\n\n# A2\n\n2\n\n# Z\n\nz\n";
    let imported = import(&mut document, &base, text);
    assert_eq!((document.to_markdown().as_str(), imported.conflicts.len()), (text, 0));
    assert_eq!(ids(&document), ["s1", "s2"]);
    // Its largest part keeps its name.
    let text = "# A\n\n# A1\n\n1!\n\n# Z\n\nz\n\n# A2\n\n2\n\n";
    import(&mut document, &imported.base, text);
    assert_eq!(document.to_markdown(), text);
    assert_eq!(ids(&document), ["s1", "s2", "s3"]);
}

#[test]
fn d24_a_section_that_comes_back_is_the_one_that_went() {
    let (mut document, base) = house(ABC);
    let without = "# A\n\nOne ape. Two apes.\n\n# C\n\nOne cat. Two cats.\n";
    let imported = import(&mut document, &base, without);
    let imported = import(&mut document, &imported.base, ABC);
    assert_eq!(imported.seq, Some(2));
    assert_eq!((ids(&document).join(" ").as_str(), &*document.to_markdown()), ("s1 s2 s3", ABC));
}

#[test]
fn d24_both_sides_survive_in_different_sentences() {
    let (mut document, base) = house(ABC);
    edit(&mut document, 0, "# A\n\nOne ape, by us. Two apes.\n\n");
    edit(&mut document, 1, "# B\n\nOne bee, by us. Two bees.\n\n");
    let theirs = "# A\n\nOne ape. Two apes, by them.\n\n# New\n\n# C\n\nOne cat, by them. Two cats.\n\n\
                  # B\n\nOne bee. Two bees.\n\n";
    let imported = import(&mut document, &base, theirs);
    assert_eq!(imported.conflicts, []);
    let both = "# A\n\nOne ape, by us. Two apes, by them.\n\n# New\n\n# C\n\nOne cat, by them. Two cats.\n\n\
                # B\n\nOne bee, by us. Two bees.\n\n";
    assert_eq!(document.to_markdown(), both);
    assert_eq!(imported.seq, Some(3), "all in one update");
    // Once more, the file as it was then: there is nothing new in it.
    let again = import(&mut document, &imported.base, theirs);
    assert_eq!((again.seq, again.conflicts), (None, vec![]));
    // And from the base of before, as after an answer that nobody heard.
    let again = import(&mut document, &base, theirs);
    assert_eq!((again.seq, again.conflicts), (None, vec![]));
    assert_eq!(document.to_markdown(), both);
}

#[test]
fn d24_what_cannot_be_merged_stays_and_is_given_back() {
    let theirs_a = "# A\n\nTheirs a. Two apes.\n\n";
    let theirs = ABC.replace("# A\n\nOne ape. Two apes.\n\n", theirs_a);
    let conflict = |document: &mut Coordinator, base: &BaseText| {
        let before = document.to_markdown();
        let mut imported = import(document, base, &theirs);
        assert_eq!((imported.seq, document.to_markdown()), (None, before));
        assert_eq!(imported.conflicts.len(), 1, "{imported:?}");
        imported.conflicts.remove(0)
    };
    // Changed on both sides.
    let (mut document, base) = house(ABC);
    edit(&mut document, 0, "# A\n\nOurs a. Two apes.\n\n");
    let found = conflict(&mut document, &base);
    assert!(matches!(found.why, ConflictReason::Overlap(_)), "{found:?}");
    assert_eq!(
        (found.part, &*found.base, &*found.ours, found.theirs.as_deref()),
        (
            FilePart::Section(SectionId::nth(0)),
            "# A\n\nOne ape. Two apes.\n\n",
            "# A\n\nOurs a. Two apes.\n\n",
            Some(theirs_a)
        )
    );
    // Held by somebody.
    let (mut document, base) = house(ABC);
    let lock = Lock::one(SectionId::nth(0), Duration::from_secs(9), OnBusy::Deny);
    document.lock(&agent(), lock, NOW).answer.unwrap();
    let found = conflict(&mut document, &base);
    let until = NOW + Duration::from_secs(9);
    assert_eq!(found.why, ConflictReason::Locked { holder: agent(), until });
    // Held by somebody else until now.
    let late = document.import(&file(), &base, &theirs, until).answer.unwrap();
    assert_eq!((late.conflicts, document.to_markdown()), (vec![], theirs.clone()));
    // Written to with a lock only.
    let (mut document, base) = house(ABC);
    let mode = OutlineChange::Mode { section: SectionId::nth(0), mode: Mode::Locked };
    let draft = Draft { outline: vec![mode], ..Draft::default() };
    document.draft(&agent(), draft, NOW).unwrap();
    assert_eq!(conflict(&mut document, &base).why, ConflictReason::NeedsLock);
    // Not there any more.
    let (mut document, base) = house(ABC);
    let archived = OutlineChange::Archived { section: SectionId::nth(0) };
    let draft = Draft { outline: vec![archived], ..Draft::default() };
    document.draft(&agent(), draft, NOW).unwrap();
    assert_eq!(conflict(&mut document, &base).why, ConflictReason::Archived);
}

#[test]
fn d24_a_section_that_the_file_dropped_stays_if_it_was_changed_or_is_held() {
    let without = "# B\n\nOne bee. Two bees.\n\n# C\n\nOne cat. Two cats.\n";
    let (mut document, base) = house(ABC);
    edit(&mut document, 0, "# A\n\nOurs.\n\n");
    let imported = import(&mut document, &base, without);
    assert_eq!(imported.conflicts[0].why, ConflictReason::ChangedMeanwhile);
    assert_eq!((imported.conflicts.len(), &imported.conflicts[0].theirs), (1, &None));
    assert_eq!(document.to_markdown(), ["# A\n\nOurs.\n\n", without].concat());
    let (mut document, base) = house(ABC);
    let lock = Lock::one(SectionId::nth(0), Duration::from_secs(9), OnBusy::Deny);
    document.lock(&agent(), lock, NOW).answer.unwrap();
    let imported = import(&mut document, &base, without);
    assert!(matches!(imported.conflicts[0].why, ConflictReason::Locked { .. }));
    assert_eq!(document.to_markdown(), ABC);
}

#[test]
fn d24_a_text_that_somebody_is_typing_is_no_obstacle() {
    let (mut document, _) = house("# A\n\na\n\n# B\n\nb\n");
    // A fence that is open for now: for a parser the second heading is code.
    let fence = crate::text::Changes::one(5, 0, "```\n");
    let typed = document.typed(&agent(), vec![(SectionId::nth(0), fence)], NOW).answer;
    assert_eq!(typed, Some(1));
    let base = BaseText::from(&document.snapshot());
    let text = "# A\n\n```\na\n\n# B\n\nb, outside\n";
    let imported = import(&mut document, &base, text);
    let beside: String = imported.conflicts.iter().filter_map(|c| c.theirs.as_deref()).collect();
    assert!([document.to_markdown(), beside].concat().contains("b, outside"), "{imported:?}");
    let same = import(&mut document, &imported.base, text);
    assert_eq!((same.seq, same.conflicts), (None, vec![]));
}

#[test]
fn d24_front_matter_that_both_changed_is_a_conflict() {
    let (mut document, base) = house("---\na: 1\n---\n# A\n");
    let other = import(&mut document, &base, "---\na: 2\n---\n# A\n");
    assert_eq!(other.conflicts, []);
    // Somebody who follows the document with a file of his own.
    let imported = import(&mut document, &base, "---\na: 3\n---\n# A\n\nMore.\n");
    assert_eq!(imported.conflicts.len(), 1);
    assert_eq!(imported.conflicts[0].part, FilePart::Front);
    assert_eq!(document.to_markdown(), "---\na: 2\n---\n# A\n\nMore.\n");
}

#[test]
fn a_file_that_is_no_document_and_an_author_who_is_gone_are_refused() {
    let (mut document, base) = house(ABC);
    let long = "x".repeat(crate::limits::SECTION_BYTES_MAX + 1);
    let refused = document.import(&file(), &base, &long, NOW).answer.unwrap_err();
    assert!(matches!(refused, ImportError::File(LoadError::SectionTooLarge { .. })), "{refused}");
    drop(document.drop_holder(&file(), NOW));
    let refused = document.import(&file(), &base, "", NOW).answer.unwrap_err();
    assert!(matches!(refused, ImportError::Gone(_)), "{refused}");
    assert_eq!(document.to_markdown(), ABC);
}

/// Some sections of words that occur nowhere else.
fn prose(rng: &mut Rng, word: &mut u32) -> String {
    let mut text = String::new();
    for n in 0..1 + rng.below(5) {
        text += &format!("# {}\n\n", ["Same", "One", "Two", "Three"][rng.below(4)]);
        for _ in 0..rng.below(4) + usize::from(n == 0) {
            *word += 1;
            text += &format!("Word{word} is here. ");
        }
        text += "\n\n";
    }
    text
}

/// `text` after somebody has put words into it, taken some out, and moved sections.
fn changed(rng: &mut Rng, text: &str, mark: &str, word: &mut u32, is_moving: bool) -> String {
    let document = Document::parse(text).unwrap();
    let mut parts: Vec<String> =
        document.sections().iter().map(|section| section.text().to_owned()).collect();
    for _ in 0..=rng.below(3) {
        *word += 1;
        let n = rng.below(parts.len());
        match rng.below(if is_moving { 6 } else { 3 }) {
            0 => parts[n] = parts[n].replacen("is here", &format!("is {mark}{word}"), 1),
            1 => parts[n].push_str(&format!("Added {mark}{word}.\n\n")),
            2 => parts[n] = parts[n].replacen(". ", &format!(". Also {mark}{word}. "), 1),
            3 => parts.insert(n, format!("# New\n\nIs {mark}{word}.\n\n")),
            4 if parts.len() > 1 => drop(parts.remove(n)),
            _ => {
                let part = parts.remove(n);
                parts.insert(rng.below(parts.len() + 1), part);
            }
        }
    }
    parts.concat()
}

/// The words that somebody put in.
fn marks<'a>(text: &'a str, mark: &str) -> BTreeSet<&'a str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.starts_with(mark)).collect()
}

#[test]
fn d24_the_file_that_was_written_changes_nothing() {
    each(500, "d24_the_file_that_was_written_changes_nothing", |rng| {
        let (mut document, _) = house(&soup(rng, 30));
        for n in 0..rng.below(3) {
            let n = (n + 1).min(ids(&document).len()) - 1;
            let base = document.read(SectionId::nth(n)).unwrap().version;
            let edit = Edit::optimistic(SectionId::nth(n), base, soup(rng, 6));
            drop(document.edit(&agent(), edit, NOW).answer);
        }
        let base = BaseText::from(&document.snapshot());
        let before = document.snapshot();
        let imported = import(&mut document, &base, &base.to_markdown());
        assert_eq!((imported.seq, imported.conflicts), (None, vec![]));
        assert_eq!(document.snapshot(), before);
    });
}

#[test]
fn d24_an_outside_change_alone_is_taken_byte_for_byte() {
    each(3_000, "d24_an_outside_change_alone_is_taken_byte_for_byte", |rng| {
        let mut word = 0;
        let (was, is) = if rng.below(2) == 0 {
            let was = soup(rng, 30);
            // Parts of it, and others.
            let cut = (0..=rng.below(was.len() + 1)).rev().find(|at| was.is_char_boundary(*at));
            let is = [&soup(rng, 8), &was[cut.unwrap()..], &soup(rng, 8)].concat();
            (was, is)
        } else {
            let was = prose(rng, &mut word);
            let is = changed(rng, &was, "their", &mut word, true);
            (was, is)
        };
        let (mut document, base) = house(&was);
        let imported = import(&mut document, &base, &is);
        assert_eq!(imported.conflicts, [], "{was:?} -> {is:?}");
        assert_eq!(document.to_markdown(), is, "{was:?}");
        let mut record = document.record();
        record = crate::record::Record::decode(crate::record::FORMAT, &record.encode()).unwrap();
        assert_eq!(record, document.record(), "it is kept as it is");
    });
}

#[test]
fn d24_nothing_that_anybody_put_in_is_lost() {
    let mut n_both = 0;
    each(3_000, "d24_nothing_that_anybody_put_in_is_lost", |rng| {
        let mut word = 0;
        let text = prose(rng, &mut word);
        let (mut document, mut base) = house(&text);
        for _ in 0..3 {
            let ours: Vec<String> = document
                .snapshot()
                .sections
                .iter()
                .map(|section| changed(rng, &section.text.to_string(), "our", &mut word, false))
                .collect();
            let sections = document.snapshot().sections;
            for (section, text) in sections.iter().zip(ours) {
                if rng.below(2) == 0 {
                    let edit = Edit::optimistic(section.id, section.version, text);
                    document.edit(&agent(), edit, NOW).answer.unwrap();
                }
            }
            let before = document.to_markdown();
            let theirs = changed(rng, &base.to_markdown(), "their", &mut word, true);
            let imported = import(&mut document, &base, &theirs);
            let after = document.to_markdown();
            // What the file dropped, it dropped on purpose, and only what nobody had changed.
            let old = base.to_markdown();
            for mark in marks(&before, "our").difference(&marks(&old, "our")) {
                assert!(after.contains(mark), "{mark}: {before:?} + {theirs:?} -> {after:?}");
            }
            let beside: String =
                imported.conflicts.iter().filter_map(|c| c.theirs.as_deref()).collect();
            let saved = [&*after, &*beside].concat();
            for mark in marks(&theirs, "their").difference(&marks(&old, "their")) {
                assert!(saved.contains(mark), "{mark}: {before:?} + {theirs:?} -> {saved:?}");
            }
            n_both +=
                u32::from(imported.conflicts.is_empty() && after != before && after != theirs);
            // The file is written anew, or is not yet.
            base =
                if rng.below(3) > 0 { BaseText::from(&document.snapshot()) } else { imported.base };
        }
    });
    assert!(n_both > 100 || std::env::var_os("GGML_AGENT_SEED").is_some(), "{n_both} were merged");
}
