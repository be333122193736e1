use super::{Edit, Shape, Shaped, Trace};

#[test]
fn the_made_paper_has_the_published_numbers_of_the_real_one() {
    let trace = Trace::make(Shape::Paper, 1);
    let Shaped { n_edits, inserted, removed, jumps, longest_insert } = trace.shaped();
    assert_eq!((n_edits, inserted, removed), (259_778, 182_315, 77_463));
    assert_eq!(trace.text_after(usize::MAX).len(), 104_852);
    assert_eq!(longest_insert, 1);
    // Jumps are runs of cursor movements, of which 102,049 are published.
    assert!((3_000..102_049).contains(&jumps), "{jumps}");
}

#[test]
fn made_traces_have_the_length_they_are_to_have_and_depend_on_the_seed_alone() {
    for (shape, n_edits, left) in [
        (Shape::Paper, 259_778, 104_852),
        (Shape::Blog, 137_993, 56_769),
        (Shape::Code, 40_173, 65_000),
    ] {
        for seed in 1..4 {
            let trace = Trace::make(shape, seed);
            assert_eq!(trace.edits.len(), n_edits, "{shape:?} {seed}");
            assert_eq!(trace.text_after(usize::MAX).len(), left, "{shape:?} {seed}");
            assert_eq!(trace.edits, Trace::make(shape, seed).edits);
            assert!(trace.edits.iter().all(|edit| edit.del + edit.insert.len() > 0));
        }
        assert_ne!(Trace::make(shape, 1).edits, Trace::make(shape, 2).edits);
    }
}

#[test]
fn jumps_are_counted_where_the_cursor_was_not() {
    let edit = |at, del, insert: &str| Edit { at, del, insert: insert.to_owned() };
    let edits =
        vec![edit(0, 0, "abc"), edit(3, 0, "d"), edit(3, 1, ""), edit(0, 0, "x"), edit(1, 2, "")];
    let trace = Trace { name: "t".to_owned(), is_made: true, edits };
    assert_eq!(trace.text_after(usize::MAX), "xc");
    assert_eq!(trace.text_after(2), "abcd");
    let expected = Shaped { n_edits: 5, inserted: 5, removed: 3, jumps: 1, longest_insert: 3 };
    assert_eq!(trace.shaped(), expected);
}

#[test]
fn a_published_file_is_read_and_one_that_lies_is_refused() {
    let folder = std::env::temp_dir().join(format!("bench-doc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("small.json");
    let write = |end: &str, insert: &str| {
        let text = format!(
            r#"{{"startContent":"","endContent":"{end}","txns":[{{"time":"x","patches":[[0,0,"hat"],[0,1,"{insert}"]]}}]}}"#
        );
        std::fs::write(&path, text).unwrap();
        Trace::read(&path)
    };
    let trace = write("cat", "c").unwrap();
    assert_eq!((trace.name.as_str(), trace.is_made, trace.edits.len()), ("small", false, 2));
    assert!(write("dog", "c").unwrap_err().to_string().ends_with("do not lead to its endContent"));
    assert!(write("éat", "é").unwrap_err().to_string().contains("ascii_only"));
    std::fs::remove_dir_all(&folder).unwrap();
}
