//! `ggml-agent demo document`: two editors want one section.

use std::time::Duration;

use anyhow::Context as _;
use ggml_agent::{Addr, Agent, ChildSpec, Context, Reply, Report, System};
use ggml_agent_core::lease::{OnBusy, Token};
use ggml_agent_doc::{
    CallError, Client, DocEvent, DocEventKind, DocNote, Document, DocumentRef, Edit, Lock,
    SectionId,
};

use super::narrate::{Narrator, sign};
use super::{Checks, head};
use crate::failure::Failure;
use crate::output::Screen;

const TEXT: &str = "# Plan\n\nThink.\n\n# Report\n\nNothing yet.\n";

/// An editor does what it is told and keeps its last token, also when it is stale.
struct Editor {
    document: DocumentRef,
    section: SectionId,
    token: Token,
}

enum Msg {
    Lock(OnBusy),
    Write(&'static str),
    Release,
}

impl Agent for Editor {
    type Msg = Msg;
    type Error = Report;

    async fn handle(&mut self, msg: Msg, ctx: &mut Context<Self>) -> Result<(), Report> {
        let (me, section) = (Client::of(ctx), self.section);
        match msg {
            Msg::Lock(on_busy) => {
                let lock = Lock::one(section, Duration::from_secs(30), on_busy);
                // A denial is an event of the document: the script looks for it there.
                if let Ok(grants) = ctx.protect(self.document.lock(&me, lock)).await {
                    self.token = grants.first().map_or(self.token, |grant| grant.token);
                }
            }
            Msg::Write(text) => {
                let edit = Edit::locked(section, self.token, text);
                match self.document.edit(me.holder(), edit).await {
                    Ok(_) | Err(CallError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Msg::Release => self.document.release(&me, section, self.token).await?,
        }
        Ok(())
    }
}

/// A subscriber: keeps the number of each update.
struct Reader {
    document: DocumentRef,
    seen: Vec<u64>,
    /// Who waits for how many updates.
    waiting: Option<(usize, Reply<Vec<u64>>)>,
}

enum ReaderMsg {
    Note(DocNote),
    /// Asks for what it has seen, once it has seen so many: an edit is accepted before it is told.
    Seen(usize, Reply<Vec<u64>>),
}

impl From<DocNote> for ReaderMsg {
    fn from(note: DocNote) -> Self {
        Self::Note(note)
    }
}

impl Agent for Reader {
    type Msg = ReaderMsg;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.document.subscribe(&Client::with_notes(ctx)).await?;
        Ok(())
    }

    async fn handle(&mut self, msg: ReaderMsg, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match msg {
            ReaderMsg::Note(DocNote::Updated(update)) => self.seen.push(update.seq),
            ReaderMsg::Note(_) => {}
            ReaderMsg::Seen(n, reply) => self.waiting = Some((n, reply)),
        }
        if let Some((_, reply)) = self.waiting.take_if(|(n, _)| self.seen.len() >= *n) {
            reply.send(self.seen.clone());
        }
        Ok(())
    }
}

/// The demo's script.
struct Script<'a> {
    system: &'a System,
    narrator: Narrator<'a>,
    reader: Addr<Reader>,
}

impl Script<'_> {
    fn say(&mut self, who: &str, text: &str) {
        self.narrator.say(self.system.clock().now(), who, text);
    }

    /// Tells an editor to do something, and waits until the document has dealt with it.
    async fn step<T>(
        &mut self,
        editor: &Addr<Editor>,
        msg: Msg,
        wanted: impl Fn(&DocEvent) -> Option<T>,
    ) -> Result<T, Failure> {
        editor.tell(msg).with_context(|| format!("{} has ended", editor.id()))?;
        self.narrator.until_doc("the next step", |event| wanted(event)).await
    }

    /// What the subscriber has been told, once it has been told of `n` edits.
    async fn updates(&mut self, n: usize) -> Result<Vec<u64>, Failure> {
        let seen = self.reader.ask(|reply| ReaderMsg::Seen(n, reply)).await;
        let seen = seen.context("the subscriber was not told of an edit")?;
        let newest = seen.last().copied().unwrap_or_default();
        self.say("reader", &format!("DOC_UPDATE {newest} arrived; all of them: {seen:?}"));
        Ok(seen)
    }
}

pub(super) async fn run(system: &System, screen: &mut Screen) -> Result<(), Failure> {
    screen.line(&head("document", 0, "demo document: two editors want one section"));
    let narrator = Narrator { events: system.events(), screen };
    let text = Document::parse(TEXT).context("the demo's text")?;
    let section = text.sections().last().context("the demo's text has no section")?.id();
    let id = "document".parse().context("the document's id")?;
    let document = DocumentRef::start(system, &id, text).await.context("the document")?;
    let of = document.clone();
    let reader = ChildSpec::new("reader", move || Reader {
        document: of.clone(),
        seen: Vec::new(),
        waiting: None,
    });
    let reader = system.start(reader).await.context("the reader did not start")?;
    let editor = |id| {
        let document = document.clone();
        ChildSpec::new(id, move || Editor {
            document: document.clone(),
            section,
            token: Token::NONE,
        })
    };
    let one = system.start(editor("editor-1")).await.context("editor-1 did not start")?;
    let two = system.start(editor("editor-2")).await.context("editor-2 did not start")?;
    let mut script = Script { system, narrator, reader };
    script.say("demo", &format!("2 editors, 1 subscriber; both editors want {}", sign(section)));
    let (first, second, is_stale) = conflict(&mut script, &one, &two).await?;

    let mut checks = Checks::default();
    checks.hold(second > first, "a later lock has a larger fence", &format!("{first}, {second}"));
    checks.hold(is_stale, "the edit with the old fence is refused", "accepted");
    let seen = script.updates(2).await?;
    checks.hold(seen == [1, 2], "the subscriber hears of each edit once", &format!("{seen:?}"));
    let text = document.snapshot().await.context("the document has ended")?.to_markdown();
    let expected = "# Plan\n\nThink.\n\n# Report\n\nBoth: first draft, and the second.\n";
    checks.hold(text == expected, "the document has the accepted edits only", &format!("{text:?}"));
    let statement = "one holder at a time, first come, first served; the edit with the old fence was \
                     refused; the subscriber saw edits 1 and 2";
    checks.conclude(system.clock().now(), statement, script.narrator.screen)
}

/// The conflict itself; answers both fences, and whether the stale edit was refused.
async fn conflict(
    script: &mut Script<'_>,
    one: &Addr<Editor>,
    two: &Addr<Editor>,
) -> Result<(Token, Token, bool), Failure> {
    let granted = |event: &DocEvent| match event.kind {
        DocEventKind::Granted { token, .. } => Some(token),
        _ => None,
    };
    let accepted = |event: &DocEvent| match event.kind {
        DocEventKind::EditAccepted { seq, .. } => Some(seq),
        _ => None,
    };
    script.say("editor-1", "LOCK_REQUEST");
    let first = script.step(one, Msg::Lock(OnBusy::Deny), granted).await?;
    script.say("editor-2", "LOCK_REQUEST, not willing to wait");
    let denied = |event: &DocEvent| matches!(event.kind, DocEventKind::Denied { .. }).then_some(());
    script.step(two, Msg::Lock(OnBusy::Deny), denied).await?;
    script.say("editor-2", "LOCK_REQUEST, willing to wait");
    let queued = |event: &DocEvent| matches!(event.kind, DocEventKind::Queued { .. }).then_some(());
    script.step(two, Msg::Lock(OnBusy::Queue { until: None }), queued).await?;
    script.say("editor-1", &format!("DOC_EDIT with fence {first}"));
    script.step(one, Msg::Write("# Report\n\nFirst draft.\n"), accepted).await?;
    script.updates(1).await?;
    script.say("editor-1", "LOCK_RELEASE: the next in the queue gets the lock");
    let second = script.step(one, Msg::Release, granted).await?;
    script.say("editor-1", &format!("DOC_EDIT with its old fence {first}"));
    let judged = |event: &DocEvent| match &event.kind {
        DocEventKind::EditAccepted { .. } => Some(false),
        refused if refused.is_fenced() => Some(true),
        _ => None,
    };
    let is_stale = script.step(one, Msg::Write("# Report\n\nStale.\n"), judged).await?;
    script.say("editor-2", &format!("DOC_EDIT with fence {second}"));
    let text = "# Report\n\nBoth: first draft, and the second.\n";
    script.step(two, Msg::Write(text), accepted).await?;
    Ok((first, second, is_stale))
}
