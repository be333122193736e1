//! Two writers, one section: the lock goes from one to the other, and a late edit is refused.
//! `cargo run --example document_editing`
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::time::Duration;

use ggml_agent::{Agent, ChildSpec, Context, Report, System};
use ggml_agent_core::lease::OnBusy;
use ggml_agent_doc::{Client, Document, DocumentRef, Edit, Lock};

struct Writer(DocumentRef);

struct Append(&'static str);

impl Agent for Writer {
    type Msg = Append;
    type Error = Report;

    async fn handle(
        &mut self,
        Append(line): Append,
        ctx: &mut Context<Self>,
    ) -> Result<(), Report> {
        let (document, me) = (&self.0, Client::of(ctx));
        let section = document.snapshot().await?.sections[0].id;
        // Waits its turn; the lock comes with a fencing token and a lease.
        let lock = Lock::one(section, Duration::from_secs(30), OnBusy::Queue { until: None });
        let grant = document.lock(&me, lock).await?.remove(0);
        let old = document.read(section).await?.ok_or_else(|| Report::msg("no such section"))?;
        let text = format!("{}{line}\n", old.text);
        let done = document.edit(me.holder(), Edit::locked(section, grant.token, &text)).await?;
        println!("{} wrote version {} with fence {}", ctx.id(), done.version, grant.token);
        document.release(&me, section, grant.token).await?;

        let late = document.edit(me.holder(), Edit::locked(section, grant.token, "# Lost\n")).await;
        println!("{} tries again without the lock: {late:?}", ctx.id());
        Ok(())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    let text = Document::parse("# Plan\n\n- think\n")?;
    let document = DocumentRef::start(&system, &"plan".parse()?, text).await?;
    let mut writers = Vec::new();
    for (id, line) in [("writer-1", "- write"), ("writer-2", "- read it again")] {
        let document = document.clone();
        let writer = system.start(ChildSpec::new(id, move || Writer(document.clone()))).await?;
        writer.tell(Append(line))?;
        writers.push(writer);
    }
    for writer in writers {
        writer.stop(); // handles what is queued first
        writer.ended().await;
    }
    print!("{}", document.snapshot().await?.to_markdown());
    Ok(())
}
