use super::*;
use crate::soup::{Rng, each, soup};
use crate::text::change::tests::changes as random_changes;

/// A document of paragraphs, lists and code, every word of which is there once.
struct Doc {
    pieces: Vec<String>,
    n_words: usize,
}

impl Doc {
    fn new(rng: &mut Rng) -> Self {
        let mut doc = Self { pieces: Vec::new(), n_words: 0 };
        for _ in 0..1 + rng.below(8) {
            let block = doc.block(rng);
            doc.pieces.push(block);
        }
        doc
    }

    fn word(&mut self) -> String {
        self.n_words += 1;
        format!("w{}q", self.n_words)
    }

    fn sentence(&mut self, rng: &mut Rng) -> String {
        let words: Vec<_> = (0..1 + rng.below(4)).map(|_| self.word()).collect();
        format!("A {}.", words.join(" "))
    }

    fn block(&mut self, rng: &mut Rng) -> String {
        match rng.below(8) {
            0 => format!("```\n{}\n{}\n```\n\n", self.word(), self.word()),
            1 => format!("- {}\n- {}\n\n", self.sentence(rng), self.sentence(rng)),
            2 => format!("# {}\n\n", self.word()),
            _ => {
                let list: Vec<_> = (0..1 + rng.below(4)).map(|_| self.sentence(rng)).collect();
                format!("{}\n\n", list.join(" "))
            }
        }
    }

    /// The text with up to three edits, whose words are new.
    fn edited(&mut self, rng: &mut Rng) -> String {
        let mut pieces = self.pieces.clone();
        for _ in 0..rng.below(4) {
            let n = rng.below(pieces.len());
            let words: Vec<_> = pieces[n].split_inclusive([' ', '\n']).map(str::to_owned).collect();
            let at = rng.below(words.len());
            match rng.below(5) {
                0 => pieces[n] = self.block(rng),
                1 => pieces[n].clear(),
                2 => {
                    let block = self.block(rng);
                    pieces[n].push_str(&block);
                }
                what => {
                    let mut words = words;
                    let new = self.word();
                    if what == 3 {
                        words.insert(at, format!("{new} "));
                    } else {
                        let old = words[at].clone();
                        words[at] = old.replace(old.trim_matches([' ', '\n', '.']), &new);
                    }
                    pieces[n] = words.concat();
                }
            }
            if pieces[n].is_empty() {
                pieces[n].push('\n');
            }
        }
        pieces.concat()
    }
}

fn words(text: &str) -> std::collections::BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.starts_with('w')).collect()
}

#[test]
fn a_clean_merge_has_every_word_that_a_side_added_and_none_that_a_side_removed() {
    let (mut clean, mut all) = (0, 0);
    each(5_000, "a_clean_merge_has", |rng| {
        let mut doc = Doc::new(rng);
        let base = doc.pieces.concat();
        let (ours, theirs) = (doc.edited(rng), doc.edited(rng));
        all += 1;
        let Ok(merged) = merge(&base, &ours, &theirs) else { return };
        clean += 1;
        let (b, o, t) = (words(&base), words(&ours), words(&theirs));
        let want: std::collections::BTreeSet<_> = o
            .union(&t)
            .copied()
            .filter(|word| !b.contains(word) || (o.contains(word) && t.contains(word)))
            .collect();
        assert_eq!(words(&merged.text), want, "{base:?}\n{ours:?}\n{theirs:?}");
        assert_eq!(merged.changes_over_ours.apply(&ours).unwrap(), merged.text);
    });
    assert!(all == 1 || clean * 3 > all, "only {clean} of {all} merges are clean");
    assert!(all == 1 || clean * 20 < all * 19, "{clean} of {all} merges are clean");
}

#[test]
fn a_side_without_changes_takes_those_of_the_other() {
    each(2_000, "a_side_without", |rng| {
        let base = soup(rng, 12);
        let other = match rng.below(2) {
            0 => soup(rng, 12),
            _ => random_changes(rng, &base).apply(&base).unwrap(),
        };
        for (ours, theirs) in [(&base, &other), (&other, &base), (&other, &other)] {
            let merged = merge(&base, ours, theirs).unwrap();
            assert_eq!(merged.text, other);
            assert_eq!(merged.changes_over_ours.apply(ours).unwrap(), other);
        }
    });
}

#[test]
fn whether_a_merge_is_clean_does_not_depend_on_the_side() {
    each(4_000, "whether_a_merge", |rng| {
        let base = soup(rng, 8);
        let mut side = || random_changes(rng, &base).apply(&base).unwrap();
        let (ours, theirs) = (side(), side());
        let there = merge(&base, &ours, &theirs);
        let back = merge(&base, &theirs, &ours);
        assert_eq!(there.is_ok(), back.is_ok(), "{base:?}\n{ours:?}\n{theirs:?}");
        match (there, back) {
            (Ok(merged), Ok(_)) => {
                assert_eq!(merged.changes_over_ours.apply(&ours).unwrap(), merged.text);
            }
            (Err(conflict), Err(back)) => {
                assert_eq!(conflict.n_overlaps, back.n_overlaps);
                for overlap in &conflict.overlaps {
                    let parts = [
                        (&base, &overlap.base),
                        (&ours, &overlap.ours),
                        (&theirs, &overlap.theirs),
                    ];
                    for (text, part) in parts {
                        let whole = &text[part.range.clone()];
                        assert!(part.excerpt == whole || whole.len() > EXCERPT_BYTES_MAX);
                    }
                    assert_ne!(overlap.ours.excerpt, overlap.theirs.excerpt, "{conflict:?}");
                }
            }
            _ => unreachable!("compared above"),
        }
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn merges_by_table() {
    // base, ours, theirs, merged or the excerpts of the conflict
    type Row = (&'static str, &'static str, &'static str, Result<&'static str, [&'static str; 3]>);
    let table: &[Row] = &[
        // Sentences of one paragraph, neighbours too.
        (
            "One is. Two is.\n",
            "One was. Two is.\n",
            "One is. Two was.\n",
            Ok("One was. Two was.\n"),
        ),
        (
            "One is so. Two.",
            "One was so. Two.",
            "One is not. Two.",
            Err(["One is so.", "One was so.", "One is not."]),
        ),
        // A sentence that goes on over the end of a line is one.
        (
            "One is\nso. Two.",
            "One was\nso. Two.",
            "One is\nnot. Two.",
            Err(["One is\nso.", "One was\nso.", "One is\nnot."]),
        ),
        // The same change is one.
        ("One. Two.", "Uno. Two.", "Uno. Due.", Ok("Uno. Due.")),
        ("One. Two.", "One. And. Two.", "One. And. Two.", Ok("One. And. Two.")),
        // New sentences at one place.
        ("One. Two.", "One. Alpha. Two.", "One. Beta. Two.", Err(["", "Alpha. ", "Beta. "])),
        // A new sentence beside one that changed.
        ("One. Two.", "Uno. Two.", "One. New. Two.", Ok("Uno. New. Two.")),
        ("One. Two.", "One. Due.", "One. New. Two.", Ok("One. New. Due.")),
        // Deleted here, changed there.
        ("One. Two. Three.", "One. Three.", "One. Due. Three.", Err(["Two. ", "", "Due. "])),
        (
            "One.\n\nTwo.\n\nThree.\n",
            "One.\n\nThree.\n",
            "One.\n\nTwo.\n\nTre.\n",
            Ok("One.\n\nTre.\n"),
        ),
        // Both append.
        ("Log.\n", "Log.\n\nOurs.\n", "Log.\n\nTheirs.\n", Ok("Log.\n\nOurs.\n\nTheirs.\n")),
        ("- a\n", "- a\n- b\n", "- a\n- c\n", Ok("- a\n- b\n- c\n")),
        ("- a", "- a\n- b", "- a\n- c", Ok("- a\n- b\n- c")),
        ("- a\n", "- a\n- b", "- a\n- c", Ok("- a\n- b\n- c")),
        ("One.\n", "One. Two.\n", "One. Three.\n", Ok("One. Two. Three.\n")),
        ("no stop\n", "no stop\nours\n", "no stop\ntheirs\n", Ok("no stop\nours\ntheirs\n")),
        (
            "no stop",
            "no stop ours",
            "no stop theirs",
            Err(["no stop", "no stop ours", "no stop theirs"]),
        ),
        ("", "Ours.", "Theirs.", Ok("Ours.\nTheirs.")),
        ("Log.\n", "Log.\n\nSame.\n", "Log.\n\nSame.\n", Ok("Log.\n\nSame.\n")),
        // What one appends must not become code of the other.
        ("Log.\n", "Log.\n```\nx\n", "Log.\nTheirs.\n", Err(["", "```\nx\n", "Theirs.\n"])),
        // Lists and tables by rows, also neighbours.
        ("- a\n- b\n", "- A\n- b\n", "- a\n- B\n", Ok("- A\n- B\n")),
        (
            "|a|b|\n|-|-|\n|c|d|\n|e|f|\n",
            "|a|b|\n|-|-|\n|C|d|\n|e|f|\n",
            "|a|b|\n|-|-|\n|c|d|\n|e|F|\n",
            Ok("|a|b|\n|-|-|\n|C|d|\n|e|F|\n"),
        ),
        (
            "|a|b|\n|-|-|\n|c|d|\n",
            "|a|b|\n|-|-|\n|C|d|\n",
            "|a|b|\n|-|-|\n|c|D|\n",
            Err(["|c|d|", "|C|d|", "|c|D|"]),
        ),
        // Code by lines; neighbours are a conflict.
        (
            "```\na\nb\nc\n```\n",
            "```\nA\nb\nc\n```\n",
            "```\na\nb\nC\n```\n",
            Ok("```\nA\nb\nC\n```\n"),
        ),
        ("```\na\nb\n```\n", "```\nA\nb\n```\n", "```\na\nB\n```\n", Err(["a\nb", "A\nb", "a\nB"])),
        (
            "```\na. b. c\n```\n",
            "```\nA. b. c\n```\n",
            "```\na. b. C\n```\n",
            Err(["a. b. c", "A. b. c", "a. b. C"]),
        ),
        // Front matter by lines.
        (
            "---\na: 1\nb: 2\n---\n",
            "---\na: 9\nb: 2\n---\n",
            "---\na: 1\nb: 9\n---\n",
            Ok("---\na: 9\nb: 9\n---\n"),
        ),
        // A line whose end we removed does not swallow what they wrote behind it.
        ("x\n", "x", "x\n# y\n", Err(["\n", "", "\n# y\n"])),
        ("x\n", "x", "x\ny\n", Ok("x\ny")),
        // Without spaces.
        ("中文。更多。", "中国。更多。", "中文。更少。", Ok("中国。更少。")),
    ];
    for (base, ours, theirs, want) in table {
        let got = merge(base, ours, theirs);
        match (&got, want) {
            (Ok(merged), Ok(text)) => {
                assert_eq!(merged.text, *text, "{base:?} {ours:?} {theirs:?}")
            }
            (Err(conflict), Err(excerpts)) => {
                let at = &conflict.overlaps[0];
                let got = [&at.base, &at.ours, &at.theirs].map(|part| part.excerpt.as_str());
                assert_eq!(got, *excerpts, "{base:?} {ours:?} {theirs:?}");
            }
            _ => panic!("{base:?} {ours:?} {theirs:?} gave {got:?}"),
        }
    }
}

#[test]
fn a_conflict_says_where_and_what_in_bounds() {
    let long = |word: &str| format!("First.\n\nThe {} {word}.\n", "é".repeat(300));
    let conflict = merge(&long("is"), &long("was"), &long("will be")).unwrap_err();
    assert_eq!(conflict.to_string(), "both changed 1 place in different ways, the first in line 3");
    let overlap = &conflict.overlaps[0];
    assert!(overlap.base.excerpt.len() <= EXCERPT_BYTES_MAX + "…".len());
    assert!(overlap.theirs.excerpt.ends_with("é will be."), "{overlap:?}");
    let many = |word: &str| (0..40).map(|n| format!("Line {n} {word}.\n\n")).collect::<String>();
    let conflict = merge(&many("is"), &many("was"), &many("will be")).unwrap_err();
    assert_eq!((conflict.n_overlaps, conflict.overlaps.len()), (40, OVERLAPS_MAX));
}

#[test]
fn texts_that_repeat_themselves_merge_where_one_side_is_unchanged() {
    let base = "- a\n- b\n".repeat(16_384);
    let theirs = format!("- c\n{}- c\n", "- b\n- a\n".repeat(16_384));
    assert_eq!(merge(&base, &base, &theirs).unwrap().text, theirs);
    assert_eq!(merge(&base, &theirs, &base).unwrap().text, theirs);
    let ours = format!("{base}- d\n");
    let appended = merge(&base, &ours, &format!("{base}- e\n")).unwrap();
    assert_eq!(appended.text, format!("{ours}- e\n"));
}
