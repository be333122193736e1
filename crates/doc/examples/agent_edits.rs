//! An agent edits by what stands there, not by offsets: a text that is not quite there is refused with what is
//! closest to it, and the second try is right. A command that is sent twice is carried out once.
//! `cargo run -p ggml-agent-doc --example agent_edits`
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use ggml_agent::System;
use ggml_agent_doc::{CallError, Command, Document, DocumentRef, Holder, Op, OpError, OpId, Query};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    let text = Document::parse("# Plan\n\nWe ship on Monday.\n\n# Risks\n\nNone.\n")?;
    let document = DocumentRef::start(&system, &"plan".parse()?, text).await?;
    let writer = Holder::new("writer".parse()?, 1);

    let outline = document.query(Query::default()).await?.outline;
    let plan = outline[0].id;
    let replace =
        |old: &str| Op::StrReplace { old: old.into(), new: "We ship on Friday.".into(), expect: 1 };
    // What the model remembers of the text.
    let first = Command::new(plan, replace("we ship on monday."));
    let nearest = match document.command(&writer, first).await {
        Err(CallError::Refused(error @ OpError::NoMatch { .. })) => {
            println!("refused: {error}");
            let OpError::NoMatch { nearest, current, .. } = error else { return Ok(()) };
            nearest.map(|nearest| current[nearest.range].to_owned()).unwrap_or_default()
        }
        other => return Err(format!("it is not there word for word: {other:?}").into()),
    };
    let op_id: OpId = "run-1/step-2".parse()?;
    let second = Command::new(plan, replace(&nearest)).named(op_id);
    for _ in 0..2 {
        let done = document.command(&writer, second.clone()).await?;
        let again = if done.is_repeat { ", which it was already" } else { "" };
        println!("done: update {}{again}", done.seq);
    }
    let batch = vec![
        Command::new(plan, Op::Append { text: "Then we rest.\n\n".into() }),
        Command::new(outline[1].id, Op::Append { text: "Friday is short.\n".into() }),
    ];
    let done = document.batch(&writer, batch).await?;
    println!("done: update {} of {} sections", done.seq, done.sections.len());
    print!("{}", document.snapshot().await?.to_markdown());
    Ok(())
}
