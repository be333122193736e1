use super::*;

fn id(text: &str) -> PromiseId {
    text.parse().unwrap()
}

/// Every chapter complete, one promise per item, except for what `special` says in its place.
fn semantics(special: &[(&str, &str)]) -> String {
    let mut markdown = String::from("# Title\n\n- *prose*: see S3.\n\n");
    for (chapter, n) in CHAPTERS {
        for number in 1..=n {
            let plain = format!("- **{chapter}{number}** Said.");
            let this = format!("{chapter}{number}");
            let item = special.iter().find(|(id, _)| *id == this).map(|(_, item)| *item);
            markdown.push_str(item.unwrap_or(&plain));
            markdown.push('\n');
        }
    }
    markdown
}

fn named_test(name: &str) -> NamedTest {
    let file = PathBuf::from("crates/a/src/b.rs");
    NamedTest { ids: ids_of(name), name: name.to_owned(), file, line: 1 }
}

/// One test per promise that is not planned.
fn complete(promises: &[Promise]) -> Vec<NamedTest> {
    let kept = promises.iter().filter(|promise| !promise.planned);
    kept.map(|promise| named_test(&format!("{}_holds", promise.id.test_prefix()))).collect()
}

#[test]
fn a_number_is_a_chapter_and_1_to_99() {
    for good in ["M1", "S34", "D10", "B9"] {
        assert_eq!(id(good).to_string(), good);
    }
    for bad in ["", "M", "M0", "X1", "M100", "M1a", "m1", "M+1", "é1", "1M"] {
        assert_eq!(bad.parse::<PromiseId>(), Err(ParsePromiseIdError), "for {bad:?}");
    }
    assert_eq!(id("S7").test_prefix(), "s07");
    assert_eq!(id("D10").test_prefix(), "d10");
}

#[test]
fn one_promise_per_item_is_read() {
    let promises = parse_statements(&semantics(&[])).unwrap();
    assert_eq!(promises.len(), 107);
    assert!(promises.iter().all(|promise| promise.text == "Said." && !promise.planned));
}

#[test]
fn one_item_may_say_several_promises() {
    let special = [
        (
            "B1",
            "- B1 CLOSED: all pass. Five\n  failures open it. B2 OPEN: refused (B4 says when\n  not). B3 Probes.",
        ),
        ("B2", ""),
        ("B3", ""),
        ("S5", "- **S5** permanent: always; **S6** transient: as S8 counts."),
        ("S6", ""),
    ];
    let promises = parse_statements(&semantics(&special)).unwrap();
    let text = |of: &str| promises.iter().find(|p| p.id == id(of)).map(|p| p.text.as_str());
    assert_eq!(text("B1"), Some("CLOSED: all pass. Five failures open it."));
    assert_eq!(text("B2"), Some("OPEN: refused (B4 says when not)."));
    assert_eq!(text("B3"), Some("Probes."));
    assert_eq!(text("S5"), Some("permanent: always;"));
    assert_eq!(text("S6"), Some("transient: as S8 counts."));
}

#[test]
fn a_planned_promise_is_marked_behind_its_number() {
    let special = [("D9", "- **D9** *(planned)* Later."), ("D10", "- D10 Not (planned) at all.")];
    let promises = parse_statements(&semantics(&special)).unwrap();
    let find = |of: &str| promises.iter().find(|p| p.id == id(of)).unwrap();
    assert!(find("D9").planned);
    assert_eq!(find("D9").text, "Later.");
    assert!(!find("D10").planned);
}

#[test]
fn a_number_said_twice_or_left_out_is_refused() {
    let twice = parse_statements(&semantics(&[("S5", "- **S5** One. S6 Two.")]));
    assert!(twice.unwrap_err().starts_with("S6 is said twice"));
    let gap = parse_statements(&semantics(&[("S5", "")]));
    assert!(gap.unwrap_err().starts_with("S5 is missing"));
    let last = parse_statements(&semantics(&[("S34", "")]));
    assert!(last.unwrap_err().starts_with("S34 is missing"));
    let jump = parse_statements(&semantics(&[("S34", "- S34 Said.\n- S36 Said.")]));
    assert!(jump.unwrap_err().starts_with("S35 is missing"));
}

#[test]
fn only_test_functions_count() {
    let rust = r##"
        /// Not a test: s01_comment.
        // #[test] fn s02_commented_out() {}
        fn s03_helper() {}

        #[test]
        fn s04_plain() {}
        #[tokio::test(
            flavor = "multi_thread",
            start_paused = true
        )]
        /// With words between.
        async fn s05_s06_two_promises() {}
        #[test]
        #[ignore = "slow"]
        fn s07_ignored() {}
        #[cfg(loom)]
        #[test] fn b05_on_one_line() {}
        const TEXT: &str = "#[test] fn s08_in_a_literal() {}";
        fn s09_after_a_literal() {}
        #[test]
        fn s10a_is_no_number_and_neither_is_s10_here() {}
        #[test]
        fn s1_needs_two_digits() {}
        #[test]
        fn holds_s11() {}
        #[derive(Debug)]
        struct Test;
        proptest! {
            #[test]
            fn r03_in_a_macro(x in 0..9) {}
        }
    "##;
    let tests = tests_in(Path::new("x.rs"), rust);
    let found: Vec<(&str, usize)> = tests.iter().map(|t| (t.name.as_str(), t.line)).collect();
    let expected = [
        ("s04_plain", 7),
        ("s05_s06_two_promises", 13),
        ("b05_on_one_line", 18),
        ("r03_in_a_macro", 31),
    ];
    assert_eq!(found, expected);
    assert_eq!(tests[1].ids, [id("S5"), id("S6")]);
}

#[test]
fn a_complete_ledger_has_no_problem() {
    let promises = parse_statements(&semantics(&[("D9", "- D9 (planned) Later.")])).unwrap();
    let ledger = Ledger::new(promises.clone(), &complete(&promises));
    assert_eq!(ledger.problems(), [""; 0]);
    assert_eq!(ledger.summary(), "106 of 106 promises have tests (106 tests), 1 are planned");
}

#[test]
fn a_promise_without_a_test_is_a_problem() {
    let promises = parse_statements(&semantics(&[])).unwrap();
    let mut tests = complete(&promises);
    tests.retain(|test| !test.name.starts_with("s07"));
    let ledger = Ledger::new(promises, &tests);
    assert_eq!(ledger.problems(), ["S7 has no test: write one named `s07_...` (Said.)"]);
    assert!(ledger.to_string().contains("\nS7   NO TEST\n"));
}

#[test]
fn a_planned_promise_with_a_test_is_a_problem() {
    let promises = parse_statements(&semantics(&[("D9", "- D9 (planned) Later.")])).unwrap();
    let mut tests = complete(&promises);
    tests.push(named_test("d08_d09_already"));
    let problems = Ledger::new(promises, &tests).problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("D9 is marked planned but d08_d09_already tests it"));
}

#[test]
fn a_test_with_a_number_that_no_promise_has_is_a_problem() {
    let promises = parse_statements(&semantics(&[])).unwrap();
    let mut tests = complete(&promises);
    tests.push(named_test("s35_typo"));
    let problems = Ledger::new(promises, &tests).problems();
    let expected =
        "s35_typo (crates/a/src/b.rs:1) carries S35, which docs/semantics.md does not have";
    assert_eq!(problems, [expected]);
}

#[test]
fn our_own_semantics_are_in_the_form_that_the_tool_reads() {
    let markdown = include_str!("../../../../docs/semantics.md");
    let promises = parse_statements(markdown).unwrap();
    assert!(promises.len() >= 79);
    assert!(promises.iter().all(|promise| promise.text.len() > 10), "each has a text");
}
