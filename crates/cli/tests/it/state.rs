//! What looks at a state folder, on stores that the library has made.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::core::seam::Clock;
use ggml_agent::core::store::{Bounds, Commit, Open, Position, StoreRef, Watermarks, Write};
use ggml_agent::core::{AgentId, Envelope, MessageId, MessageType};
use ggml_agent::{ChildSpec, Flow, Options, Report, RunContext, RunStatus, Runs, System};
use ggml_agent_store::{FILE, Medium, Sqlite};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ggml_agent, run, said};

/// 2023-11-14T22:13:20Z, for ever.
const NOW_MS: u64 = 1_700_000_000_000;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_ms(&self) -> u64 {
        NOW_MS
    }
}

/// Drafts a report, and asks a person before it is published.
struct Article;

impl Flow for Article {
    type Input = String;
    type Output = String;

    async fn run(&self, title: String, ctx: &mut RunContext<'_, Self>) -> Result<String, Report> {
        let draft =
            ctx.step("draft", async |_| Ok::<_, Report>(format!("All about {title}"))).await?;
        let verdict: String = match title.as_str() {
            "ink" => ctx.wait_for("approval").await?,
            _ => "unread".to_owned(),
        };
        ctx.step("publish", async |_| Ok::<_, Report>(vec![draft.len()])).await?;
        Ok(format!("{draft}: {verdict}"))
    }
}

fn open(folder: &Path) -> Sqlite {
    let options =
        ggml_agent_store::Options { medium: Medium::Any, ..ggml_agent_store::Options::DEFAULT };
    Sqlite::open(folder, options).unwrap()
}

fn id(name: &str) -> AgentId {
    name.parse().unwrap()
}

/// Puts messages into the mailbox of an agent that makes dead letters of them.
async fn bury(store: &StoreRef, agent: &str, payloads: &[&[u8]]) {
    let open = Open { agent: id(agent), bounds: Bounds::DEFAULT, in_hand: None };
    let opened = store.open(open).await.unwrap();
    let mut dead = Vec::new();
    for (n, payload) in (1..).zip(payloads) {
        let message = MessageId::from_u128(u128::from(NOW_MS) << 80 | n);
        let envelope =
            Envelope::new(message, NOW_MS, id(agent), MessageType::Task, payload.to_vec())
                .sent_by(id("editor"));
        store.append(envelope).await.unwrap();
        let number = u64::try_from(n).unwrap();
        dead.push((Position(number), format!("delivered {} times without success", number + 4)));
    }
    let applied = Watermarks { normal: dead.last().unwrap().0, ..Watermarks::default() };
    let commit = Commit::new(id(agent), opened.epoch, opened.revision, applied);
    store.commit(Commit { dead, ..commit }).await.unwrap();
}

/// Lets a run begin, and end or wait.
async fn write(store: &StoreRef, name: &str, title: &str) {
    let clock = Some(Arc::new(Stopped) as Arc<_>);
    let system = System::with(Options { store: Some(store.clone()), clock, ..Options::default() });
    let spec = ChildSpec::run(name, || Article, title.to_owned());
    let run = system.start(spec).await.unwrap().untyped();
    let runs = Runs::of(store);
    loop {
        let status = runs.show(name).await.unwrap().unwrap().status;
        if status.is_over() || matches!(status, RunStatus::Waiting { .. }) {
            break;
        }
        tokio::task::yield_now().await;
    }
    // As when its process ends: in order, it would be given time to end what it waits for.
    run.kill();
    run.ended().await;
}

/// A state folder with three dead letters and two runs, one of which waits for a person.
fn made() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    folder
}

fn fill(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = StoreRef::new(open(folder));
        let mut task = Vec::new();
        let fields = [("section".into(), 3.into()), ("title".into(), "Ink".into())];
        ciborium::into_writer(&ciborium::Value::Map(fields.to_vec()), &mut task).unwrap();
        bury(&store, "writer", &[&task, b"draft \x22Ink\x22\nnow", b"\xff\x00"]).await;
        write(&store, "ink", "ink").await;
        write(&store, "paper", "paper").await;
    });
}

/// What it says on `folder`, as JSON lines; it must end with `code`.
fn lines(code: i32, folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let (found, out, err) = on(folder, arguments);
    assert_eq!(found, code, "{arguments:?}: {out}{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn on(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(&[arguments, &["--state", folder.to_str().unwrap()]].concat())
}

#[test]
fn the_transcripts_hold_on_a_store_that_was_made_for_them() {
    let state = tempfile::tempdir().unwrap();
    fill(&state.path().join("ggml-agent"));
    trycmd::TestCases::new()
        .env("XDG_STATE_HOME", state.path().to_str().unwrap())
        .case("tests/cmd/state/*.md");
}

#[test]
fn every_line_is_one_object_and_the_first_one_names_its_schema() {
    let folder = made();
    let table: &[(&[&str], &str, &str)] = &[
        (&["runs", "ls"], "ggml-agent.runs/1", "run,run,runs"),
        (&["runs", "show", "paper"], "ggml-agent.runs/1", "run,run.step,run.step"),
        (
            &["deadletters", "ls"],
            "ggml-agent.deadletters/1",
            "deadletter,deadletter,deadletter,deadletters",
        ),
        (&["deadletters", "show", "1"], "ggml-agent.deadletters/1", "deadletter"),
        (&["store", "stats"], "ggml-agent.store/1", "store.stats"),
        (&["store", "check"], "ggml-agent.store/1", "store.checked"),
        (&["store", "compact"], "ggml-agent.store/1", "store.compacted"),
    ];
    for (arguments, schema, events) in table {
        let lines = lines(0, folder.path(), arguments);
        assert_eq!(lines[0]["schema"], *schema, "{arguments:?}");
        let found: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(found.join(","), *events, "{arguments:?}");
    }
    let letter = &lines(0, folder.path(), &["deadletters", "show", "1"])[0];
    let payload = json!({
        "cbor": "{\"section\": 3, \"title\": \"Ink\"}",
        "json": { "section": 3, "title": "Ink" },
    });
    assert_eq!((&letter["payload"], &letter["from"]), (&payload, &"editor".into()));
    let steps = lines(0, folder.path(), &["runs", "show", "paper"]);
    assert_eq!(
        (&steps[0]["output"], &steps[2]["result"]),
        (&"All about paper: unread".into(), &json!([15]))
    );
}

#[test]
fn a_dead_letter_that_is_resent_waits_for_its_agent_again() {
    let folder = made();
    lines(0, folder.path(), &["deadletters", "resend", "1"]);
    let stats = &lines(0, folder.path(), &["store", "stats"])[0];
    assert_eq!((&stats["messages"], &stats["dead_letters"]), (&1.into(), &2.into()));
    let (code, _, err) = on(folder.path(), &["deadletters", "resend", "1"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("there is no dead letter 1") && err.contains("next:  `ggml"), "{err}");
}

#[test]
fn a_dead_letter_whose_agent_is_gone_stays_and_the_others_are_resent() {
    let folder = made();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = StoreRef::new(open(folder.path()));
        bury(&store, "reader", &[b"yours"]).await;
        store.settle(Write::Remove { agent: id("writer") }).await.unwrap();
    });
    let lines = lines(9, folder.path(), &["deadletters", "resend", "--all"]);
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let failed = "deadletters.failed";
    assert_eq!(events, [failed, failed, failed, "deadletter.resent", "deadletters.resent"]);
    assert_eq!((&lines[4]["done"], &lines[4]["failed"]), (&1.into(), &3.into()));
    let (code, _, err) = on(folder.path(), &["deadletters", "resend", "--all"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("3 of 3 dead letters were not resent"), "{err}");
    assert!(err.contains("cause: the store has no mailbox of agent \"writer\""), "{err}");
}

#[test]
fn nothing_is_dropped_unless_somebody_means_it() {
    let folder = made();
    for which in ["2", "--all"] {
        let (code, out, err) = on(folder.path(), &["deadletters", "drop", which]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("--yes"), "{err}");
    }
    let (code, ..) = on(folder.path(), &["runs", "rm", "ink"]);
    assert_eq!(code, 2);
    assert_eq!(lines(0, folder.path(), &["deadletters", "ls"]).len(), 4);
    lines(0, folder.path(), &["deadletters", "drop", "2", "--yes"]);
    lines(0, folder.path(), &["deadletters", "drop", "--all", "--yes"]);
    assert_eq!(lines(0, folder.path(), &["deadletters", "ls"]).len(), 1);
    // What is over is done with.
    lines(0, folder.path(), &["runs", "rm", "paper"]);
    lines(0, folder.path(), &["runs", "rm", "ink", "--yes"]);
    assert_eq!(lines(0, folder.path(), &["runs", "ls"])[0]["n"], 0);
}

#[test]
fn a_run_takes_what_was_sent_from_here_when_it_goes_on() {
    let folder = made();
    let sent = lines(0, folder.path(), &["runs", "signal", "ink", "approval", "\"granted\""]);
    assert_eq!(sent[0]["payload"], "granted");
    let shown = lines(0, folder.path(), &["runs", "show", "ink"]);
    assert_eq!(shown.last().unwrap()["mail"]["payload"], "granted", "{shown:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = StoreRef::new(open(folder.path()));
        let system = System::with(Options { store: Some(store), ..Options::default() });
        let run = system.start(ChildSpec::run("ink", || Article, "other".to_owned())).await;
        run.unwrap().untyped().ended().await;
    });
    let shown = lines(0, folder.path(), &["runs", "show", "ink"]);
    assert_eq!(
        (&shown[0]["status"], &shown[0]["output"]),
        (&"completed".into(), &"All about ink: granted".into())
    );
    let (code, _, err) = on(folder.path(), &["runs", "cancel", "ink"]);
    assert_eq!(code, 10, "{err}");
}

#[test]
fn an_export_is_one_document_with_everything() {
    let folder = made();
    lines(0, folder.path(), &["runs", "cancel", "ink"]);
    let (code, out, err) = on(folder.path(), &["runs", "export", "ink"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let mut document: Value = serde_json::from_str(&out).unwrap();
    let sent_ms = document["untaken"][0]["sent_ms"].take();
    assert!(sent_ms.as_u64().unwrap() > NOW_MS);
    let expected = json!({
        "schema": "ggml-agent.run/1",
        "name": "ink",
        "flow": std::any::type_name::<Article>(),
        "status": "waiting",
        "signal": "approval",
        "begun_ms": NOW_MS,
        "latest_ms": NOW_MS,
        "input": "ink",
        "output": null,
        "repeated": 0,
        "steps": [{
            "key": "draft",
            "attempts": 1,
            "begun_ms": NOW_MS,
            "done_ms": NOW_MS,
            "result": "All about ink",
        }],
        "signals": [],
        "untaken": [{ "kind": "cancel", "sent_ms": null }],
    });
    assert_eq!(document, expected);
}

#[test]
fn a_backup_is_a_store_with_everything_in_it() {
    let (folder, elsewhere) = (made(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join(FILE);
    let path = file.to_str().unwrap();
    let done = lines(0, folder.path(), &["store", "backup", path]);
    assert_eq!((&done[0]["ok"], &done[0]["file"]), (&true.into(), &path.into()));
    let names = fs::read_dir(elsewhere.path()).unwrap();
    assert_eq!(names.count(), 1, "nothing else is left there");
    for verb in [&["runs", "ls"], &["deadletters", "ls"]] {
        let (one, other) = (on(folder.path(), verb), on(elsewhere.path(), verb));
        assert_eq!(one, other);
    }
    let (code, _, err) = on(folder.path(), &["store", "backup", path]);
    assert_eq!(code, 10);
    assert!(err.contains("exists already"), "{err}");
    let (code, _, err) = on(folder.path(), &["store", "backup", "/no/such/folder/b.db"]);
    assert_eq!(code, 1);
    assert!(err.contains("next:  name a file in a folder that is there"), "{err}");
}

#[test]
fn what_is_damaged_is_listed_with_exit_code_1() {
    let folder = made();
    let file = folder.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    let whole = bytes.clone();
    // The reason of a dead letter: SQLite does not see that, its checksum does.
    let reason = b"delivered 6 times without";
    let at = bytes.windows(reason.len()).position(|found| found == reason).unwrap();
    bytes[at + 10] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let found = lines(1, folder.path(), &["store", "check"]);
    assert_eq!(found[0]["event"], "store.damage", "{found:?}");
    assert!(found[0]["why"].as_str().unwrap().contains("dead letter 2"), "{found:?}");
    let last = found.last().unwrap();
    assert_eq!((&last["ok"], &last["damaged"]), (&false.into(), &(found.len() - 1).into()));
    let to = folder.path().join("b.db");
    let (code, _, err) = on(folder.path(), &["store", "backup", to.to_str().unwrap()]);
    assert_eq!((code, to.exists()), (1, false), "no backup is better than a damaged one: {err}");
    // Cut in half, it cannot even be opened.
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let found = lines(1, folder.path(), &["store", "check"]);
    assert_eq!((&found[0]["what"], &found[1]["ok"]), (&"the file".into(), &false.into()));
}

#[test]
fn q14_a_run_that_is_damaged_can_be_forgotten_and_one_that_was_repaired_goes_on() {
    let folder = made();
    let file = folder.path().join(FILE);
    let flip = || {
        let mut bytes = fs::read(&file).unwrap();
        // The result of its first step: its last byte is flipped, and flipped back.
        let text = b"All about in";
        let at = bytes.windows(text.len()).position(|found| found == text).unwrap();
        bytes[at + text.len()] ^= 1;
        fs::write(&file, &bytes).unwrap();
    };
    flip();
    let listed = lines(0, folder.path(), &["runs", "ls"]);
    assert_eq!(listed[0]["status"], "unreadable", "{listed:?}");
    let (code, _, err) = on(folder.path(), &["store", "release", "run/ink"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("stays set aside") && err.contains("store discard run/ink"), "{err}");
    flip();
    let released = lines(0, folder.path(), &["store", "release", "run/ink"]);
    assert_eq!(released[0]["event"], "store.released");
    assert_eq!(lines(0, folder.path(), &["runs", "ls"])[0]["status"], "waiting");
    let (code, _, err) = on(folder.path(), &["store", "release", "run/ink"]);
    assert_eq!(code, 4, "{err}");
    flip();
    lines(0, folder.path(), &["runs", "ls"]);
    let (code, _, err) = on(folder.path(), &["runs", "rm", "ink"]);
    assert_eq!(code, 2, "not unless somebody means it: {err}");
    let removed = lines(0, folder.path(), &["runs", "rm", "ink", "--yes"]);
    assert_eq!(removed[0]["status"], "unreadable");
    assert_eq!(lines(0, folder.path(), &["store", "check"]).last().unwrap()["ok"], true);
    assert_eq!(lines(0, folder.path(), &["runs", "ls"]).last().unwrap()["n"], 1);
}

#[test]
fn what_is_done_with_is_kept_as_long_as_is_said() {
    let folder = made();
    let prune =
        |code, more: &[&str]| lines(code, folder.path(), &[&["store", "prune"], more].concat());
    let n = |lines: &[Value]| {
        let last = lines.last().unwrap();
        (last["runs"].as_u64().unwrap(), last["dead_letters"].as_u64().unwrap())
    };
    // All is from 2023, years ago; what waits or failed is not over.
    let of_2023 = ["--runs-days", "1", "--deadletters-max", "2"];
    let would = prune(0, &[&of_2023[..], &["--dry-run"]].concat());
    assert_eq!((would[0]["name"].as_str(), would[1]["number"].as_u64()), (Some("paper"), Some(1)));
    assert_eq!((n(&would), would.len()), ((1, 1), 3));
    assert_eq!(lines(0, folder.path(), &["runs", "ls"]).last().unwrap()["n"], 2, "nothing is gone");
    let (code, _, err) = on(folder.path(), &[&["store", "prune"], &of_2023[..]].concat());
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("1 runs with their results and 1 dead letters"), "{err}");
    assert_eq!(n(&prune(0, &["--runs-days", "36500", "--yes"])), (0, 0), "in a hundred years");
    assert_eq!(n(&prune(0, &[&of_2023[..], &["--yes"]].concat())), (1, 1));
    let left = lines(0, folder.path(), &["runs", "ls"]);
    assert_eq!((left[0]["name"].as_str(), left.len()), (Some("ink"), 2));
    assert_eq!(lines(0, folder.path(), &["deadletters", "ls"])[0]["number"], 2, "the eldest went");
    assert_eq!(n(&prune(0, &["--deadletters-days", "1", "--yes"])), (0, 2));
    let (code, _, err) = on(folder.path(), &["store", "prune", "--yes"]);
    assert_eq!(code, 2, "nothing is the default: {err}");
}

#[test]
fn q14_an_agent_that_was_set_aside_is_not_forgotten_unless_somebody_means_it() {
    let folder = made();
    let file = folder.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    let text = b"All about ink";
    let at = bytes.windows(text.len()).position(|found| found == text).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let discard = ["store", "discard", "run/ink"];
    let (code, _, err) = on(folder.path(), &[&discard[..], &["--yes"]].concat());
    assert_eq!(code, 4, "nobody has met the damage: {err}");
    lines(0, folder.path(), &["runs", "ls"]);
    let (code, _, err) = on(folder.path(), &discard);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("may be done again"), "{err}");
    let done = lines(0, folder.path(), &[&discard[..], &["--yes"]].concat());
    assert_eq!(done[0]["event"], "store.discarded");
    assert_eq!(lines(0, folder.path(), &["store", "check"]).last().unwrap()["ok"], true);
}

#[test]
fn a_folder_that_holds_no_store_is_left_without_one() {
    let empty = tempfile::tempdir().unwrap();
    let absent = empty.path().join("absent");
    let file = empty.path().join("file");
    fs::write(&file, "").unwrap();
    for (folder, code, why) in [
        (empty.path(), 4, "there is no store in"),
        (&absent, 4, "there is no state folder"),
        (&file, 1, "is not a folder"),
    ] {
        for verb in [&["runs", "ls"][..], &["deadletters", "resend", "--all"], &["store", "check"]]
        {
            let (found, out, err) = on(folder, verb);
            assert_eq!((found, out.as_str()), (code, ""), "{err}");
            assert!(err.contains(why) && err.contains("\nnext:  "), "{err}");
        }
    }
    assert!(!absent.exists());
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = made();
    let file = folder.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&[0, 0, 0, 9]);
    fs::write(&file, &bytes).unwrap();
    let (code, _, err) = on(folder.path(), &["store", "stats"]);
    assert_eq!(code, 1);
    assert!(err.contains("format 9") && err.contains("use the newer ggml-agent"), "{err}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

/// All files of a folder, with their contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

#[test]
fn a_store_in_use_is_not_changed_and_who_has_it_is_named() {
    let folder = made();
    let store = open(folder.path());
    let before = contents(folder.path());
    let own = format!("process {}", std::process::id());
    for verb in [
        &["runs", "cancel", "ink"][..],
        &["runs", "signal", "ink", "approval"],
        &["runs", "rm", "ink", "--yes"],
        &["deadletters", "resend", "1"],
        &["deadletters", "drop", "--all", "--yes"],
        &["store", "check"],
        &["store", "compact"],
        &["store", "backup", "b.db"],
    ] {
        let (code, out, err) = on(folder.path(), verb);
        assert_eq!((code, out.as_str()), (10, ""), "{err}");
        assert!(err.contains(&format!("is open in {own}")), "{err}");
        assert!(err.contains(&format!("next:  stop {own}")), "{err}");
    }
    assert!(contents(folder.path()) == before);
    drop(store);
    lines(0, folder.path(), &["runs", "cancel", "ink"]);
}

#[test]
fn a_store_in_use_can_be_looked_at_without_a_byte_being_changed() {
    let folder = made();
    let verbs = [
        &["runs", "ls"][..],
        &["runs", "show", "ink"],
        &["runs", "export", "paper"],
        &["deadletters", "ls"],
        &["deadletters", "show", "1"],
    ];
    let alone = verbs.map(|verb| on(folder.path(), verb));
    let store = open(folder.path());
    let before = contents(folder.path());
    assert_eq!(verbs.map(|verb| on(folder.path(), verb)), alone);
    assert_eq!(lines(0, folder.path(), &["store", "stats"])[0]["dead_letters"], 3);
    let (_, out, _) = on(folder.path(), &["runs", "ls", "-o", "human"]);
    assert!(out.starts_with("(as it was a moment ago"), "{out}");
    assert!(contents(folder.path()) == before);
    drop(store);
}

/// Puts 60 MB into a mailbox: the log is brought into the file and begun anew a few times.
fn write_much(store: &StoreRef) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for n in 0..N_MUCH {
        let message = MessageId::from_u128(1000 + u128::from(n));
        let payload = vec![7; 100_000];
        let more = Envelope::new(message, NOW_MS, id("writer"), MessageType::User, payload);
        runtime.block_on(store.append(more)).unwrap();
    }
}

const N_MUCH: u64 = 600;

#[test]
fn a_look_at_a_store_that_is_written_finds_one_moment_of_it() {
    let folder = made();
    let store = StoreRef::new(open(folder.path()));
    let look = || {
        let (code, out, err) = on(folder.path(), &["store", "stats"]);
        // Now and then it may be written too fast.
        if code == 10 {
            return None;
        }
        assert_eq!(code, 0, "{err}");
        let stats: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&stats["dead_letters"], &stats["agents"]), (&3.into(), &3.into()));
        let messages = stats["messages"].as_u64().unwrap();
        assert_eq!(stats["message_bytes"], 100_000 * messages);
        Some(messages)
    };
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_much(&store));
        while !writer.is_finished() {
            seen.extend(look());
        }
    });
    seen.extend(look());
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&N_MUCH));
}

#[test]
fn without_a_home_the_folder_must_be_named() {
    let mut command = ggml_agent(&["runs", "ls"]);
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    let (code, _, err) = said(&command.output().unwrap());
    assert_eq!(code, 2);
    assert!(err.contains("next:  name it with --state DIR"), "{err}");
}
