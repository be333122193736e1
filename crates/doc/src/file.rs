//! The file of a document: it follows the document, and what others make of it gets into the document.
//!
//! A [`Follower`] is an agent beside the document's. It writes the document to its file, always as a whole, and
//! never over a change that the document has not seen: such a change is merged first, and what cannot be
//! merged is saved beside the file. When it does what is decided in `rule`, without a clock or a disk; the disk
//! is in `disk`. It looks at the file twice a second instead of having the system watch it: that works on every
//! file system, networks included, needs no other crate, and costs one system call.
//!
//! # Example
//! ```
//! use ggml_agent::System;
//! use ggml_agent_doc::file::{FollowOptions, Follower};
//! use ggml_agent_doc::{Document, DocumentRef};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("ggml-agent-file-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let path = folder.join("plan.md");
//! let system = System::new();
//! let document = DocumentRef::start(&system, &"plan".parse()?, Document::parse("# Plan\n")?).await?;
//! let follower = Follower::start(&system, document, &path, FollowOptions::default()).await?;
//! follower.stop();
//! follower.ended().await;
//! assert_eq!(std::fs::read_to_string(&path)?, "# Plan\n");
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod disk;
mod event;
mod rule;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{Addr, Agent, AskError, ChildSpec, Context, Report, StartError, System, Timer};
use ggml_agent_core::{AgentId, ExitReason, ParseAgentIdError};

pub use self::disk::{CONFLICTS_MAX, FileFault};
use self::disk::{Found, Written};
pub use self::event::{FileEvent, FileEventKind};
use self::rule::{Command, Event, Rule};
use crate::agent::{CallError, Client, DocNote, DocumentRef};
use crate::coordinator::{BaseText, FileConflict, FilePart, Holder, ImportError, Kind, Snapshot};
use crate::history::Update;
use crate::limits::DEAD_MAX;

/// How a file is followed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FollowOptions {
    /// So long after a change of the document the file is written, with everything that has changed by then;
    /// 300 ms.
    pub write_after: Duration,
    /// So often the file is looked at; 500 ms. On a file system that keeps seconds only, take two.
    pub poll_every: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { write_after: Duration::from_millis(300), poll_every: Duration::from_millis(500) }
    }
}

/// Why a file is not followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The document's agent did not answer.
    #[error("the document's agent did not answer")]
    NoDocument(#[from] AskError),
    /// The name of the document is too long to make one for its follower.
    #[error("the document's name is too long to make one of it for its follower")]
    Id(#[from] ParseAgentIdError),
    /// The follower did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What a follower is sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum FollowMsg {
    /// By the document.
    #[doc(hidden)]
    Note(DocNote),
    #[doc(hidden)]
    Poll,
    #[doc(hidden)]
    Due,
}

impl From<DocNote> for FollowMsg {
    fn from(note: DocNote) -> Self {
        Self::Note(note)
    }
}

type Why = Arc<FileFault>;

/// The agent that keeps the file of a document. Holds D23 and D24.
pub struct Follower {
    document: DocumentRef,
    path: PathBuf,
    poll_every: Duration,
    rule: Rule,
    /// What the file held when it was last written or read.
    known: BaseText,
    /// The document, as far as its notes say; `None` if it has to be asked.
    mirror: Option<(u64, BaseText)>,
    /// What the document did not take, and is not saved.
    aside: Vec<FileConflict>,
    due: Option<Timer>,
}

impl Follower {
    /// Starts to follow `document` with the file at `path`, without a supervisor, under the document's id and
    /// `.file`, or `.file-2` and so on after followers that have ended. Stopped, it writes once more. A link stays one: the file that it means is written.
    ///
    /// A file that is another than the document is taken for an outside change if the document was never
    /// edited, and so is what was read from that file. Otherwise nobody knows which of both is older: the
    /// document stays, and the file's text is saved beside it before it is written.
    ///
    /// # Errors
    /// [`FollowError::Start`] with [`StartError::IdTaken`] if the document has a follower, and with
    /// [`StartError::Failed`] if what an earlier process left in the folder cannot be taken away;
    /// [`FollowError::NoDocument`] if the document does not answer.
    pub async fn start(
        system: &System,
        document: DocumentRef,
        path: impl AsRef<Path>,
        options: FollowOptions,
    ) -> Result<Addr<Self>, FollowError> {
        let path = path.as_ref().to_owned();
        let id = Self::id(&document).await?;
        let spec = ChildSpec::new(id, move || Self {
            document: document.clone(),
            path: path.clone(),
            poll_every: options.poll_every,
            rule: Rule::new(options.write_after),
            known: BaseText::default(),
            mirror: None,
            aside: Vec::new(),
            due: None,
        });
        Ok(system.start(spec.temporary()).await?)
    }

    /// The first name whose first life may still act: one that has ended does not come back under its number.
    async fn id(document: &DocumentRef) -> Result<AgentId, FollowError> {
        let of = document.addr().id().clone();
        let id = move |n: usize| match n {
            1 => format!("{of}.file").parse::<AgentId>(),
            _ => format!("{of}.file-{n}").parse(),
        };
        let free = document.look(move |document, _| {
            let is_free = |id: &Result<AgentId, _>| match id {
                Ok(id) => document.may_begin(id),
                // Its length does not get better.
                Err(_) => true,
            };
            (1..=DEAD_MAX + 1).map(id).find(is_free)
        });
        let id = free.await?.expect("invariant: fewer lives than that are remembered");
        Ok(id?)
    }

    /// Compares document and file for the first time.
    async fn begin(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        let snapshot = self.document.subscribe(&Client::with_notes(ctx)).await?;
        self.see(&snapshot);
        self.known = BaseText::from(&snapshot);
        let path = self.path.clone();
        let found =
            ctx.protect(ctx.block(move || {
                disk::clean_up(&path).map(|()| (disk::look(&path), disk::read(&path)))
            }));
        let first = match found.await?? {
            (Ok(None), _) => Event::Changed,
            (_, Found::Text(text, is)) if self.known.is(&text) => Event::Same(is),
            // As read, before anybody edited it: an outside change like any other.
            (_, Found::Text(..)) if snapshot.seq == 0 => Event::Outside,
            (_, Found::Text(text, is)) => match BaseText::of_file(&self.known, &text) {
                Ok(known) => {
                    self.aside.push(FileConflict::unknown(&snapshot, text));
                    self.known = known;
                    Event::Taken { is, has_conflicts: true }
                }
                Err(error) => Event::Refused { is: Some(is), why: Arc::new(error.into()) },
            },
            (_, Found::Elusive) => Event::Elusive,
            (_, Found::Fault(is, why)) => Event::Refused { is, why: Arc::new(why) },
        };
        self.run(first, ctx).await;
        ctx.send_after(self.poll_every, FollowMsg::Poll);
        Ok(())
    }

    fn see(&mut self, snapshot: &Snapshot) {
        self.mirror = Some((snapshot.seq, BaseText::from(snapshot)));
    }

    /// Takes what the document says; true if there is something new.
    fn note(&mut self, note: DocNote) -> bool {
        match note {
            DocNote::Updated(update) => self.follow(&update),
            DocNote::Resync { .. } => self.mirror = None,
            _ => return false,
        }
        true
    }

    fn follow(&mut self, update: &Update) {
        let Some((seq, text)) = &mut self.mirror else { return };
        if update.seq <= *seq {
            return;
        }
        *seq += 1;
        if update.seq != *seq || !text.apply(update) {
            self.mirror = None;
        }
    }

    /// Does what follows from an event, and from what that causes.
    async fn run(&mut self, event: Event<Why>, ctx: &mut Context<Self>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = ctx.system().clock().now();
            for command in self.rule.on(event, now) {
                events.extend(self.obey(command, ctx).await);
            }
        }
    }

    async fn obey(&mut self, command: Command<Why>, ctx: &mut Context<Self>) -> Option<Event<Why>> {
        match command {
            Command::Wait(at) => {
                if let Some(timer) = self.due.take() {
                    timer.cancel();
                }
                let delay = at.saturating_sub(ctx.system().clock().now());
                self.due = Some(ctx.send_after(delay, FollowMsg::Due));
            }
            Command::Read => return Some(self.read(ctx).await),
            Command::Save => return Some(self.save(ctx).await),
            Command::Write { may_create } => return Some(self.write(may_create, ctx).await),
            Command::TellMissing => self.tell(FileEventKind::Missing, ctx),
            Command::TellRefused(why) => self.tell(FileEventKind::LeftAlone { why }, ctx),
            Command::TellNotWritten(why) => self.tell(FileEventKind::NotWritten { why }, ctx),
        }
        None
    }

    async fn poll(&mut self, ctx: &mut Context<Self>) -> Event<Why> {
        let path = self.path.clone();
        match ctx.protect(ctx.block(move || disk::look(&path))).await {
            Ok(Ok(found)) => Event::Polled(found),
            Ok(Err(why)) => Event::Refused { is: None, why: Arc::new(why) },
            Err(_) => Event::Elusive,
        }
    }

    async fn read(&mut self, ctx: &mut Context<Self>) -> Event<Why> {
        let path = self.path.clone();
        let found = ctx.protect(ctx.block(move || disk::read(&path))).await;
        let (text, is) = match found {
            Ok(Found::Text(text, is)) => (text, is),
            Ok(Found::Fault(is, why)) => return Event::Refused { is, why: Arc::new(why) },
            Ok(Found::Elusive) | Err(_) => return Event::Elusive,
        };
        if self.known.is(&text) {
            return Event::Same(is);
        }
        let author = Holder::of(Kind::File, ctx.id().clone(), ctx.incarnation());
        let imported = match self.document.import(&author, &self.known, text).await {
            Ok(imported) => imported,
            Err(CallError::Refused(ImportError::File(error))) => {
                return Event::Refused { is: Some(is), why: Arc::new(error.into()) };
            }
            Err(_) => return Event::NotNow,
        };
        self.known = imported.base;
        let (seq, n_conflicts) = (imported.seq, imported.conflicts.len());
        self.tell(FileEventKind::Imported { seq, n_conflicts }, ctx);
        // What the file only dropped comes back with the next write, and nobody loses it.
        let theirs = imported.conflicts.into_iter().filter(|conflict| conflict.theirs.is_some());
        self.aside.extend(theirs);
        Event::Taken { is, has_conflicts: !self.aside.is_empty() }
    }

    async fn save(&mut self, ctx: &mut Context<Self>) -> Event<Why> {
        let (path, text) = (self.path.clone(), self.conflicts());
        match ctx.protect(ctx.block(move || disk::save_beside(&path, &text))).await {
            Ok(Ok(beside)) => {
                self.aside.clear();
                self.tell(FileEventKind::ConflictSaved { beside }, ctx);
                Event::Saved
            }
            Ok(Err(why)) => Event::NotSaved(Arc::new(why)),
            Err(report) => Event::NotSaved(panicked(&report)),
        }
    }

    async fn write(&mut self, may_create: bool, ctx: &mut Context<Self>) -> Event<Why> {
        if self.mirror.is_none()
            && let Ok(snapshot) = self.document.snapshot().await
        {
            self.see(&snapshot);
        }
        let Some((seq, new)) = self.mirror.clone() else {
            return Event::NotWritten(Arc::new(FileFault::NoDocument));
        };
        if self.known == new && !may_create {
            return Event::Written { is: None };
        }
        let (path, known, text) = (self.path.clone(), self.known.clone(), new.to_markdown());
        let written = ctx.block(move || disk::write(&path, &known, &text, may_create));
        match ctx.protect(written).await {
            Ok(Ok(Written::Done(is))) => {
                self.known = new;
                self.tell(FileEventKind::Written { seq }, ctx);
                Event::Written { is: Some(is) }
            }
            Ok(Ok(Written::Outside)) => Event::Outside,
            Ok(Err(why)) => Event::NotWritten(Arc::new(why)),
            Err(report) => Event::NotWritten(panicked(&report)),
        }
    }

    /// What the document did not take, as a text for people.
    fn conflicts(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut text = String::new();
        for conflict in &self.aside {
            let part = match conflict.part {
                FilePart::Front => "its front matter".to_owned(),
                FilePart::Section(section) => format!("section {section}"),
                FilePart::Whole => "all of it".to_owned(),
            };
            // An end of a comment inside of one would end it.
            let why = conflict.why.to_string().replace("--", "- -");
            writeln!(text, "<!-- {name}, {part}: {why}.").expect("invariant: a String takes all");
            text.push_str("The document has kept its own text. This is what the file had: -->\n\n");
            text.push_str(conflict.theirs.as_deref().unwrap_or_default());
            text.push('\n');
        }
        text
    }

    fn tell(&self, kind: FileEventKind, ctx: &Context<Self>) {
        let document = self.document.addr().id().clone();
        ctx.system().publish(FileEvent { document, path: self.path.clone(), kind });
    }
}

fn panicked(report: &Report) -> Why {
    Arc::new(FileFault::Io(std::io::Error::other(report.to_string())))
}

impl Agent for Follower {
    type Msg = FollowMsg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.begin(ctx).await
    }

    async fn handle(&mut self, message: FollowMsg, ctx: &mut Context<Self>) -> Result<(), Report> {
        let event = match message {
            FollowMsg::Note(note) => {
                if !self.note(note) {
                    return Ok(());
                }
                Event::Changed
            }
            FollowMsg::Due => Event::Due,
            FollowMsg::Poll => {
                // Not before this one is done: a slow disk must not be asked again and again.
                let polled = self.poll(ctx).await;
                ctx.send_after(self.poll_every, FollowMsg::Poll);
                polled
            }
        };
        self.run(event, ctx).await;
        Ok(())
    }

    async fn on_stop(&mut self, _reason: &ExitReason, ctx: &mut Context<Self>) {
        // Notes that are still on their way are not waited for; a document that ends as well cannot be asked.
        let heard = self.mirror.as_ref().map(|(seq, _)| *seq);
        if let Ok(snapshot) = self.document.snapshot().await
            && heard != Some(snapshot.seq)
        {
            self.see(&snapshot);
            self.run(Event::Changed, ctx).await;
        }
        self.run(Event::Stop, ctx).await;
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("path", &self.path).finish_non_exhaustive()
    }
}
