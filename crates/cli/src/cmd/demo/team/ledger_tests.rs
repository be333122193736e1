//! The ledger must see what is lost.

use std::time::Duration;

use ggml_agent_doc::{Coordinator, Edit, Holder};

use super::*;

/// A document after two accepted edits of its first section and one of its second.
fn edited() -> (Told, Ledger, String) {
    let original = Document::parse("# A\n\nx\n\n# B\n\ny\n").unwrap();
    let mut coordinator = Coordinator::new(&original);
    let begun = coordinator.snapshot().sections;
    let writer = Holder::new("w".parse().unwrap(), 1);
    let [a, b] = [original.sections()[0].id(), original.sections()[1].id()];
    let mut ledger = Ledger::new(2);
    let texts = [
        (a, 0, "# A\none\n\nx\n\n"),
        (b, 0, "# B\ntwo\n\ny\n"),
        (a, 1, "# A\none\nthree\n\nx\n\n"),
    ];
    for (section, base, text) in texts {
        let edit = Edit::optimistic(section, base, text);
        let accepted = coordinator.edit(&writer, edit, Duration::ZERO).answer.unwrap();
        ledger.accepted.push((accepted.seq, section));
    }
    let updates = (1..=3).map(|seq| coordinator.history().get(seq).unwrap().clone()).collect();
    (Told { begun, updates }, ledger, coordinator.to_markdown())
}

#[test]
fn edits_that_are_in_the_file_are_not_lost() {
    let (told, ledger, text) = edited();
    assert_eq!(ledger.n_lost(&told, &Document::parse(&text).unwrap()), 0);
}

#[test]
fn each_lost_edit_is_counted() {
    let (told, ledger, text) = edited();
    let lost = |text: &str| ledger.n_lost(&told, &Document::parse(text).unwrap());
    assert_eq!(lost(&text.replace("two\n", "")), 1, "the last edit of the second section");
    assert_eq!(lost(&text.replace("three\n", "")), 1, "the last edit of the first section");
    assert_eq!(lost(&text.replace("one\n", "")), 2, "an earlier edit, and so the last one's text");
    assert_eq!(lost("# A\n\nx\n\n# B\n\ny\n"), 3, "the original");
    assert_eq!(lost("# A\none\nthree\n\nx\n\n"), 1, "a section is gone");
    let told = Told { updates: told.updates[..2].to_vec(), ..told };
    assert_eq!(ledger.n_lost(&told, &Document::parse(&text).unwrap()), 2);
}
