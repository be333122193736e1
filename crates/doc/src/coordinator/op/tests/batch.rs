//! Several commands at once.

use super::*;

#[test]
fn d15_a_batch_is_one_update_and_each_command_sees_those_before() {
    let mut c = coordinator(TEXT);
    let one = holder("one");
    let commands = [
        on_a(str_replace("cat", "cow", 1)).named(op_id("b")),
        Command::new(sid(2), append("c\n")),
        on_a(insert("cow", Side::After, " (big)")),
        on_a(str_replace("dog", "bull", 1)).named(op_id("b")),
    ];
    let done = c.batch(&one, &commands, NOW).answer.unwrap();
    assert_eq!((done.seq, &*done.sections), (1, &[(a(), 1), (sid(2), 1)][..]));
    assert_eq!(text(&c, a()), "# A\n\nThe cow (big) sat. The bull ran.\n\n");
    assert_eq!(text(&c, sid(2)), "# B\n\nb b\nc\n");
    let repeat = c.batch(&one, &commands, NOW).answer;
    assert_eq!(repeat, Ok(Done { is_repeat: true, ..done }));
    let less = c.batch(&one, &commands[..2], NOW).answer;
    assert!(matches!(less, Err(OpError::OpIdReused { seq: 1, .. })), "{less:?}");
    assert_eq!(c.seq(), 1);
}

#[test]
fn d15_a_refused_command_refuses_its_batch_and_says_which_it_was() {
    let mut c = coordinator(TEXT);
    let one = holder("one");
    let good = on_a(str_replace("cat", "cow", 1));
    let bad = on_a(str_replace("cat", "bull", 1));
    let refused = c.batch(&one, &[good.clone(), bad.clone()], NOW).answer.unwrap_err();
    let OpError::InBatch { index: 1, error } = &refused else { panic!("{refused:?}") };
    assert!(matches!(**error, OpError::NoMatch { .. }));
    // Each alone could be made, both not.
    let half = |n: usize| Command::new(sid(n), append("```\n"));
    assert_eq!(c.batch(&one, &[half(2), half(0)], NOW).answer, Err(EditError::SwallowsNext.into()));
    // A base is a version from before the batch.
    let base = on_a(replace("# A\n\nnew\n\n", OnStale::Refuse)).with_base(0);
    let refused = c.batch(&one, &[good.clone(), base], NOW).answer.unwrap_err();
    assert!(
        matches!(&refused, OpError::InBatch { error, .. } if matches!(**error, OpError::Outdated { .. })),
        "{refused:?}"
    );
    let names = [good.clone().named(op_id("1")), bad.clone().named(op_id("2"))];
    assert_eq!(c.batch(&one, &names, NOW).answer, Err(OpError::SeveralNames { index: 1 }));
    assert_eq!(c.batch(&one, &[], NOW).answer, Err(OpError::NoCommand));
    let n = BATCH_LEN_MAX + 1;
    let many = vec![good.clone(); n];
    assert_eq!(c.batch(&one, &many, NOW).answer, Err(OpError::TooMany { n, max: BATCH_LEN_MAX }));
    let (n, max) = (EACH_LEN_MAX + 1, EACH_LEN_MAX);
    let each = c.commands(&one, &many[..n], NOW).answer;
    assert_eq!(each, vec![Err(OpError::TooMany { n, max }); n]);
    let large = vec![on_a(append(&"x".repeat(BATCH_BYTES_MAX / 4))); 5];
    let bytes = BATCH_BYTES_MAX / 4 * 5;
    assert_eq!(c.batch(&one, &large, NOW).answer, Err(OpError::TooLarge { bytes }));
    assert_eq!((c.seq(), c.to_markdown().as_str()), (0, TEXT));
    // Not as one, each has its own answer.
    let step = c.commands(&one, &[bad.clone(), good, bad], NOW);
    let answers: Vec<bool> = step.answer.iter().map(Result::is_ok).collect();
    assert_eq!((answers, c.seq()), (vec![true, false, false], 1));
}

#[test]
fn d15_within_a_batch_places_and_texts_are_those_from_before_it() {
    let mut c = coordinator(TEXT);
    let commands = [
        on_a(str_replace("The cat", "Yesterday a cat", 1)),
        on_a(splice(22, 3, "cow", true)).with_base(0),
        on_a(replace("# A\n\nThe cat sat. The dog ran.\n\nEnd.\n", OnStale::Merge)).with_base(0),
    ];
    let done = c.batch(&holder("one"), &commands, NOW).answer.unwrap();
    assert!(!done.base_moved, "by nobody else");
    assert_eq!(text(&c, a()), "# A\n\nYesterday a cat sat. The cow ran.\n\nEnd.\n");
}
