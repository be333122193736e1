//! Snapshots and journals.

use bytes::Bytes;
use ggml_agent_core::store::{Commit, Opened, Revision, Snapshot};

use super::ground::{ALL, Ground, commit_of};

super::cases![
    a_snapshot_replaces_the_one_before,
    a_commit_without_a_snapshot_leaves_it,
    entries_are_numbered_without_a_gap,
    a_snapshot_stands_for_the_journal_before_it,
    entries_of_the_same_commit_come_behind_the_snapshot,
    a_journal_is_read_in_pages,
    states_may_be_empty_or_large,
];

pub(super) fn snapshot(version: u32, text: &str) -> Snapshot {
    Snapshot { version, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// Commits a snapshot, if any, and entries.
fn save(ground: &mut Ground<'_>, state: Option<&str>, entries: &[&str]) -> Opened {
    let opened = ground.open("a");
    let journal = entries.iter().map(|entry| Bytes::copy_from_slice(entry.as_bytes())).collect();
    let snapshot = state.map(|state| snapshot(1, state));
    let commit = Commit { snapshot, journal, ..commit_of("a", &opened) };
    assert_eq!(ground.commit(commit), Ok(Revision(opened.revision.0 + 1)));
    ground.open("a")
}

/// Number and text of each entry that is left.
fn entries(ground: &mut Ground<'_>) -> Vec<(u64, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ground.journal(0, ALL).iter().map(|entry| (entry.number, text(&entry.bytes))).collect()
}

fn a_snapshot_replaces_the_one_before(ground: &mut Ground<'_>) {
    save(ground, Some("one"), &[]);
    save(ground, Some("two"), &[]);
    ground.holds(|ground| assert_eq!(ground.open("a").snapshot, Some(snapshot(1, "two"))));
    let opened = ground.open("a");
    let newer = Commit { snapshot: Some(snapshot(u32::MAX, "")), ..commit_of("a", &opened) };
    ground.commit(newer).expect("good");
    ground.holds(|ground| assert_eq!(ground.open("a").snapshot, Some(snapshot(u32::MAX, ""))));
}

fn a_commit_without_a_snapshot_leaves_it(ground: &mut Ground<'_>) {
    save(ground, Some("one"), &["x"]);
    save(ground, None, &["y"]);
    ground.holds(|ground| {
        assert_eq!(ground.open("a").snapshot, Some(snapshot(1, "one")));
        assert_eq!(entries(ground), [(1, "x".into()), (2, "y".into())]);
    });
}

fn entries_are_numbered_without_a_gap(ground: &mut Ground<'_>) {
    save(ground, None, &["a", "b"]);
    save(ground, None, &[]);
    let opened = save(ground, None, &["c"]);
    assert_eq!((opened.journal_after, opened.journal_last), (0, 3));
    ground.holds(|ground| {
        assert_eq!(entries(ground), [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    });
}

fn a_snapshot_stands_for_the_journal_before_it(ground: &mut Ground<'_>) {
    save(ground, None, &["a", "b"]);
    let opened = save(ground, Some("ab"), &[]);
    assert_eq!((opened.journal_after, opened.journal_last), (2, 2));
    ground.holds(|ground| assert_eq!(entries(ground), []));
    // Numbers go on, also after the journal was empty when the store was opened.
    let opened = save(ground, None, &["c"]);
    assert_eq!((opened.journal_after, opened.journal_last), (2, 3));
    ground.holds(|ground| assert_eq!(entries(ground), [(3, "c".into())]));
}

fn entries_of_the_same_commit_come_behind_the_snapshot(ground: &mut Ground<'_>) {
    save(ground, None, &["a"]);
    let opened = save(ground, Some("a"), &["b", "c"]);
    assert_eq!((opened.journal_after, opened.journal_last), (1, 3));
    ground.holds(|ground| assert_eq!(entries(ground), [(2, "b".into()), (3, "c".into())]));
}

fn a_journal_is_read_in_pages(ground: &mut Ground<'_>) {
    save(ground, None, &["a", "b"]);
    save(ground, Some("ab"), &["c", "d", "e", "f"]);
    let rows: [(u64, usize, &[u64]); 7] = [
        (0, 2, &[3, 4]),
        (2, 1, &[3]),
        (4, 9, &[5, 6]),
        (6, 9, &[]),
        (0, 0, &[]),
        (0, usize::MAX, &[3, 4, 5, 6]),
        (u64::MAX, usize::MAX, &[]),
    ];
    ground.holds(|ground| {
        for (after, limit, numbers) in rows {
            let page = ground.journal(after, limit);
            let found: Vec<_> = page.iter().map(|entry| entry.number).collect();
            assert_eq!(found, numbers, "{limit} behind {after}");
        }
    });
}

fn states_may_be_empty_or_large(ground: &mut Ground<'_>) {
    let large = "0123456789abcdef".repeat(64 * 1024);
    save(ground, Some(&large), &["", &large]);
    ground.holds(|ground| {
        assert!(ground.open("a").snapshot == Some(snapshot(1, &large)));
        assert!(entries(ground) == [(1, String::new()), (2, large.clone())]);
    });
    save(ground, Some(""), &[]);
    ground.holds(|ground| assert_eq!(ground.open("a").snapshot, Some(snapshot(1, ""))));
}
