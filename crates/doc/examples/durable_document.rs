//! A document that outlives its process: the text and its versions are there again, the locks of those who
//! are gone are free, and their tokens are refused. `cargo run --example durable_document`
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use ggml_agent::core::store::{MemoryStore, StoreRef};
use ggml_agent::{Agent, ChildSpec, Context, Options, Reply, Report, Supervisor, System};
use ggml_agent_core::lease::{OnBusy, Token};
use ggml_agent_doc::{Client, Document, DocumentAgent, DocumentRef, Edit, Lock};

struct Writer(DocumentRef);

enum Do {
    /// Writes a line, and keeps the lock.
    Write(&'static str, Reply<Token>),
    /// Writes with a token from before.
    Late(Token),
}

impl Agent for Writer {
    type Msg = Do;
    type Error = Report;

    async fn handle(&mut self, order: Do, ctx: &mut Context<Self>) -> Result<(), Report> {
        let (document, me) = (&self.0, Client::of(ctx));
        let section = document.snapshot().await?.sections[0].clone();
        match order {
            Do::Write(line, reply) => {
                let lock = Lock::one(section.id, Duration::from_secs(30), OnBusy::Deny);
                let grant = document.lock(&me, lock).await?.remove(0);
                let text = format!("{}{line}\n", section.text);
                let edit = Edit::locked(section.id, grant.token, text);
                let done = document.edit(me.holder(), edit).await?;
                println!("{} wrote version {} with fence {}", ctx.id(), done.version, grant.token);
                reply.send(grant.token);
            }
            Do::Late(token) => {
                let edit = Edit::locked(section.id, token, "# Lost\n");
                let late = document.edit(me.holder(), edit).await;
                println!("{} tries fence {token} again: {late:?}", ctx.id());
            }
        }
        Ok(())
    }
}

/// A process: a system on a store that outlives it.
async fn process(
    store: &StoreRef,
    line: &'static str,
    old: Option<Token>,
) -> Result<Token, Report> {
    let system = System::with(Options { store: Some(store.clone()), ..Options::default() });
    // The store's text counts, once it has one; a restart begins with it.
    let text = Document::parse("# Plan\n\n- think\n")?;
    let tree = Supervisor::new("tree").child(DocumentAgent::durable("plan", text));
    system.supervise(tree).await?;
    let plan = system.lookup("plan").ok_or_else(|| Report::msg("it was just started"))?;
    let document = DocumentRef::new(plan);
    let writer = {
        let document = document.clone();
        system.start(ChildSpec::new("writer", move || Writer(document.clone()))).await?
    };
    if let Some(old) = old {
        writer.send(Do::Late(old)).await.map_err(|_| Report::msg("the writer is gone"))?;
    }
    let token = writer.ask(|reply| Do::Write(line, reply)).await?;
    print!("{}", document.snapshot().await?.to_markdown());
    Ok(token) // without a word to anybody
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One in memory outlives the systems of this example; one on disk outlives the process.
    let store = StoreRef::new(MemoryStore::new());
    let token = process(&store, "- write", None).await.map_err(|error| error.to_string())?;
    println!("-- the next process");
    let later = process(&store, "- read it again", Some(token));
    let later = later.await.map_err(|error| error.to_string())?;
    assert!(later > token, "tokens only grow");
    Ok(())
}
