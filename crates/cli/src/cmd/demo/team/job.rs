//! What is to be done: from the arguments to a plan, and from the work to the written file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ggml_agent_doc::{Document, abstracts};

use super::Work;
use super::model::Model;
use crate::args::DemoArgs;
use crate::cmd::demo::{Checks, head};
use crate::failure::Failure;
use crate::file::{self, Existing};
use crate::output::{Level, Line, Screen, Tone};
use crate::period::say;

/// The built-in text.
const SAMPLE: &str = include_str!("sample.md");

/// The window of the writers' restart intensity.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The longest thought: longer ones make nobody wiser.
const THINK_MAX: Duration = Duration::from_secs(2);

/// A plan.
pub(crate) struct Job {
    pub(super) document: Document,
    pub(super) n_sections: usize,
    pub(super) n_writers: u16,
    pub(super) sections_per_writer: usize,
    pub(super) kill_every: Duration,
    pub(super) seed: u64,
    pub(super) duration: Duration,
    /// Where the work is kept, if it is.
    pub(super) state: Option<PathBuf>,
    think_max: Duration,
    input: Input,
    target: Target,
}

/// Where the document comes from.
enum Input {
    Sample,
    File { path: PathBuf, bytes: Vec<u8> },
}

/// Where the result goes.
enum Target {
    /// A file that is read again and then removed.
    Temporary,
    /// A file that must not be there, unless it may be replaced.
    Out { path: PathBuf, replace: bool },
    /// The document itself.
    InPlace,
}

impl Job {
    /// Reads the document and checks everything that can be checked before the work.
    pub(super) fn prepare(args: &DemoArgs) -> Result<Self, Failure> {
        let target = match &args.out {
            Some(path) => Target::Out { path: path.clone(), replace: args.force },
            None if args.in_place => Target::InPlace,
            None => Target::Temporary,
        };
        let (input, document) = match &args.document {
            None => (Input::Sample, Document::parse(SAMPLE).context("the built-in text")?),
            Some(path) => {
                let source = file::read(path)?;
                (Input::File { path: source.path, bytes: source.bytes }, source.document)
            }
        };
        let headed = document.sections().iter().filter(|section| section.heading().is_some());
        let n_sections = headed.count();
        let is_sample = matches!(input, Input::Sample);
        let kill_every =
            args.kill_every.unwrap_or(Duration::from_millis(if is_sample { 2000 } else { 500 }));
        let pace = Duration::from_secs(if is_sample { 8 } else { 3 });
        let job = Self {
            n_sections,
            n_writers: args.writers,
            sections_per_writer: usize::from(args.sections_per_writer),
            kill_every,
            seed: args.seed,
            duration: args.duration,
            state: args.kept.durable.then(|| args.kept.state.clone()),
            think_max: think_max(pace, args.writers, n_sections, kill_every),
            document,
            input,
            target,
        };
        if let Some((path, existing)) = job.written_to() {
            file::check(path, job.input_path(), existing)?;
        }
        Ok(job)
    }

    pub(super) fn model(&self) -> Model {
        Model::new(&self.document, self.seed, self.think_max)
    }

    /// The first kill comes while the first thoughts are thought, so that there is one in any document.
    pub(super) fn first_kill_after(&self) -> Duration {
        self.kill_every.min(self.think_max * 3 / 10)
    }

    /// Restarts that the writers may have in the window: twice as many as there can be kills.
    pub(super) fn restarts_max(&self) -> u32 {
        // At least 50 ms between two kills: at most 2,410.
        let kills = WINDOW.as_millis() / self.kill_every.as_millis().max(1);
        u32::try_from(2 * kills + 10).expect("invariant: --kill-every has a lower bound")
    }

    fn input_path(&self) -> Option<&Path> {
        match &self.input {
            Input::Sample => None,
            Input::File { path, .. } => Some(path),
        }
    }

    fn input_bytes(&self) -> &[u8] {
        match &self.input {
            Input::Sample => SAMPLE.as_bytes(),
            Input::File { bytes, .. } => bytes,
        }
    }

    /// The user's file that is written, if one is.
    fn written_to(&self) -> Option<(&Path, Existing<'_>)> {
        match (&self.target, &self.input) {
            (Target::Out { path, replace: true }, _) => Some((path, Existing::Replace)),
            (Target::Out { path, replace: false }, _) => Some((path, Existing::Keep)),
            (Target::InPlace, Input::File { path, bytes }) => {
                Some((path, Existing::ReplaceIf(bytes)))
            }
            (Target::InPlace, Input::Sample) | (Target::Temporary, _) => None,
        }
    }

    /// Says what will happen.
    pub(super) fn introduce(&self, screen: &mut Screen) {
        let (n_sections, n_writers) = (self.n_sections, self.n_writers);
        let what =
            self.input_path().map_or("a built-in text".to_owned(), |p| p.display().to_string());
        let text = format!(
            "demo: 1 editor and {n_writers} writers give {what} abstracts and a table of contents\n\
             The model is scripted: text functions in place of a language model. No GPU, no key, no \
             network.\nA writer is killed every {}; seed {}; stop: Ctrl-C",
            say(self.kill_every),
            self.seed,
        );
        let line = head("team", self.seed, &text)
            .with("sections", n_sections)
            .with("writers", n_writers)
            .with("sections_per_writer", self.sections_per_writer)
            .with("kill_every_ms", u64::try_from(self.kill_every.as_millis()).unwrap_or(u64::MAX))
            .with("model", "scripted")
            .with("state", self.state.as_ref().map(|folder| folder.display().to_string()));
        screen.line(&line);
        let tree = format!(
            "\ndemo               one-for-one\n\
             ├─ document        {n_sections} sections with a heading, {} bytes\n\
             ├─ editor          hands out sections, then writes the table of contents\n\
             ├─ chaos           kills writers, by preference one that holds a lock\n\
             └─ writers ({n_writers})     one-for-one, at most {} restarts in {}\n",
            self.input_bytes().len(),
            self.restarts_max(),
            say(WINDOW),
        );
        screen.note(&tree);
        if let Some(folder) = &self.state {
            let folder = folder.display();
            screen.note(&format!(
                "kept in {folder}: kill it at any moment, and start it again with the same arguments\n"
            ));
        }
    }

    /// Writes the result, reads it again and checks the account against it.
    pub(super) fn conclude(&self, work: &Work, screen: &mut Screen) -> Result<(), Failure> {
        let mut checks = Checks::default();
        let ledger = &work.ledger;
        let input = self.input_bytes();
        let done = format!("{}/{}", ledger.n_done, ledger.n_sections);
        checks.hold(ledger.n_done == ledger.n_sections, "every section is done", &done);
        let is_reversible = abstracts::strip(&work.text).as_bytes() == input;
        checks.hold(
            is_reversible,
            "without what was added the result is the input",
            "a difference",
        );
        if !is_reversible {
            // Not one byte of a result that cannot be taken back reaches a file.
            return checks.verdict();
        }
        if self.state.is_some() {
            // Whatever was killed when: the result is that of a demo that never was.
            let is_same = work.text == self.model().complete();
            checks.hold(is_same, "the document is that of a run without a kill", "a difference");
        }
        let (bytes, place) = self.write(&work.text)?;
        checks.hold(bytes == work.text.as_bytes(), "the file has what was written", "a difference");
        let file = Document::from_bytes(&bytes).context("the written file cannot be read")?;
        let n_lost = ledger.n_lost(&work.told, &file);
        checks.hold(n_lost == 0, "every accepted edit is in the file", &format!("{n_lost} lost"));
        let n_accepted = ledger.accepted.len();
        let told = work.told.updates.len();
        checks.hold(told == n_accepted, "every accepted edit was told", &format!("{told}"));
        let n_refused = ledger.n_refused_by_fence;
        let is_fenced = ledger.n_replays_accepted == 0 && n_refused == ledger.n_replays;
        let fenced = format!("{n_refused} of {}", ledger.n_replays);
        checks.hold(is_fenced, "every late edit of a dead writer is refused", &fenced);
        let ok = checks.failed.is_empty();
        let text = format!(
            "{}{done} sections done · {} crashes · {} restarts · {n_accepted} edits accepted · \
             {n_refused} refused by fence · {n_lost} edits lost · checked against {place}",
            if ok { "" } else { "DOES NOT HOLD: " },
            ledger.n_crashes,
            ledger.n_restarts,
        );
        let line = Line::new(work.at, "ledger", "ledger", text)
            .level(Level::Result)
            .tone(if ok { Tone::Good } else { Tone::Bad })
            .with("ok", ok)
            .with("sections", ledger.n_sections)
            .with("sections_done", ledger.n_done)
            .with("kills", ledger.n_kills)
            .with("crashes", ledger.n_crashes)
            .with("restarts", ledger.n_restarts)
            .with("edits_accepted", n_accepted)
            .with("edits_refused_by_fence", n_refused)
            .with("edits_lost", n_lost)
            .with("file", self.written_to().map(|(path, _)| path.display().to_string()));
        screen.line(&line);
        checks.verdict()
    }

    /// Writes the result and reads it again; says where it was.
    fn write(&self, text: &str) -> Result<(Vec<u8>, String), Failure> {
        let again = |path: &Path| std::fs::read(path).context("cannot read the result again");
        if let Some((path, existing)) = self.written_to() {
            file::write(path, text.as_bytes(), existing)?;
            return Ok((again(path)?, path.display().to_string()));
        }
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let path = folder.path().join("demo.md");
        file::write(&path, text.as_bytes(), Existing::Keep)?;
        Ok((again(&path)?, "a temporary file, removed again (keep it with --out FILE)".to_owned()))
    }
}

/// The longest thought: so that all of them take about `pace` together, and so that even a single
/// writer finishes a thought between two kills.
fn think_max(pace: Duration, n_writers: u16, n_sections: usize, kill_every: Duration) -> Duration {
    let n_sections = u32::try_from(n_sections.max(1)).unwrap_or(u32::MAX);
    let fair = pace.saturating_mul(u32::from(n_writers)) / n_sections;
    fair.min(kill_every * 8 / 10).min(THINK_MAX).max(Duration::from_millis(1))
}
