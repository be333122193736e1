//! What has a name is carried out once.

use super::*;

#[test]
fn d14_a_named_command_is_carried_out_once_also_over_restarts() {
    let mut c = coordinator(TEXT);
    let command = Command::new(sid(2), append("x\n")).named(op_id("op-1")).with_base(0);
    run(&mut c, &Command::new(sid(2), append("y\n"))).unwrap();
    let first = run(&mut c, &command).unwrap();
    assert!(first.base_moved && !first.is_repeat);
    run(&mut c, &Command::new(sid(2), append("z\n"))).unwrap();
    let repeat = Done { is_repeat: true, ..first };
    for _ in 0..2 {
        let step = c.command(&holder("one"), &command, NOW);
        assert_eq!((step.answer, step.outs), (Ok(repeat.clone()), vec![]));
        // A later life, also one that holds a lock meanwhile or does not any more.
        let later = Holder::new("one".parse().unwrap(), 2);
        let with_token = command.clone().with_token(Token::from_u64(99));
        let mut copy = c.clone();
        assert_eq!(copy.command(&later, &with_token, NOW).answer, Ok(repeat.clone()));
        assert_eq!(text(&c, sid(2)), "# B\n\nb b\ny\nx\nz\n");
        // The name is the agent's own.
        let other = copy.command(&holder("two"), &command, NOW).answer.unwrap();
        assert_eq!((other.is_repeat, other.seq), (false, 4));
        c = restarted(&c);
    }
    let other = Command::new(sid(2), append("other\n")).named(op_id("op-1")).with_base(0);
    let refused = run(&mut c, &other).unwrap_err();
    assert_eq!(refused, OpError::OpIdReused { op_id: op_id("op-1"), seq: 2 });
    assert_eq!(c.seq(), 3);
}

#[test]
fn d14_each_part_of_a_command_makes_it_another() {
    let quote = |text: &str, nth| Anchor::Quote { text: text.into(), nth };
    let at = |anchor, side, text: &str| Op::Insert { anchor, side, text: text.into() };
    let ops = [
        str_replace("a", "b", 1),
        str_replace("a", "b", 2),
        str_replace("ab", "", 1),
        append("a"),
        at(Anchor::Start, Side::Before, "a"),
        at(Anchor::Start, Side::After, "a"),
        at(Anchor::End, Side::Before, "a"),
        at(Anchor::Heading, Side::Before, "a"),
        at(quote("q", None), Side::Before, "a"),
        at(quote("q", Some(0)), Side::Before, "a"),
        at(quote("q", Some(1)), Side::Before, "a"),
        replace("a", OnStale::Refuse),
        replace("a", OnStale::Merge),
        replace("a", OnStale::Suggest),
        splice(0, 0, "a", false),
        splice(0, 0, "a", true),
        splice(1, 0, "a", true),
        splice(1, 1, "a", true),
    ];
    let mut commands: Vec<Command> = ops.into_iter().map(on_a).collect();
    commands.push(Command::new(sid(2), append("a")));
    commands.push(on_a(append("a")).with_base(0));
    commands.push(on_a(append("a")).with_base(1));
    let prints: std::collections::BTreeSet<u64> =
        commands.iter().map(|command| content_of(slice::from_ref(command))).collect();
    assert_eq!(prints.len(), commands.len());
    // It is kept on disk, so it stays what it is.
    assert_eq!(content_of(&[on_a(append("a"))]), 0xda845427cd5d22e4);
}

#[test]
fn d14_what_was_refused_may_be_tried_again_under_its_name() {
    let mut c = coordinator(TEXT);
    let command = on_a(str_replace("cow", "bull", 1)).named(op_id("1"));
    assert!(run(&mut c, &command).is_err());
    run(&mut c, &on_a(str_replace("cat", "cow", 1))).unwrap();
    assert_eq!(run(&mut c, &command).unwrap().seq, 2);
}

#[test]
fn d14_the_oldest_names_are_forgotten() {
    let mut c = coordinator("# A\n");
    let flip = |n: usize| {
        let (old, new) = if n.is_multiple_of(2) { ("A", "B") } else { ("B", "A") };
        Command::new(sid(0), str_replace(old, new, 1)).named(op_id(&format!("op-{n}")))
    };
    for n in 0..=OPS_REMEMBERED_MAX {
        run(&mut c, &flip(n)).unwrap();
    }
    let again = Seen::of(&c.history);
    assert_eq!(c.seen, again, "it follows from the history");
    let newest = run(&mut c, &flip(1)).unwrap();
    assert!(newest.is_repeat && newest.seq == 2);
    let forgotten = run(&mut c, &flip(0));
    assert!(matches!(forgotten, Err(OpError::NoMatch { .. })), "{forgotten:?}");
}
