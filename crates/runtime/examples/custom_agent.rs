//! An agent of the envelope protocol: a handler per message type. HEARTBEAT and SHUTDOWN need none.
//! `cargo run --example custom_agent`
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use ggml_agent::{
    ChildSpec, Envelope, EnvelopeAgent, EnvelopeContext, Handlers, MessageType, Report, System,
};

struct Counter;

impl EnvelopeAgent for Counter {
    type Error = Report;

    fn handlers(none: Handlers<Self>) -> Handlers<Self> {
        none.on(MessageType::Task, |agent, task, ctx| Box::pin(agent.on_task(task, ctx)))
    }
}

impl Counter {
    async fn on_task(
        &mut self,
        task: Envelope,
        ctx: &mut EnvelopeContext<Self>,
    ) -> Result<(), Report> {
        let n_words = std::str::from_utf8(&task.payload)?.split_whitespace().count();
        ctx.reply_to(&task, MessageType::TaskResult, format!("{n_words} words"))?;
        Ok(())
    }
}

/// Asks for a count.
struct Client;

impl EnvelopeAgent for Client {
    type Error = Report;

    fn handlers(none: Handlers<Self>) -> Handlers<Self> {
        none.on(MessageType::TaskResult, |_, answer, ctx| {
            Box::pin(async move {
                println!("{:?} says: {}", answer.from, String::from_utf8_lossy(&answer.payload));
                ctx.stop();
                Ok(())
            })
        })
    }

    async fn on_start(&mut self, ctx: &mut EnvelopeContext<Self>) -> Result<(), Report> {
        ctx.send_to(&"counter".parse()?, MessageType::Task, "one two three")?;
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    system.start(ChildSpec::envelope("counter", || Counter)).await?;
    system.start(ChildSpec::envelope("client", || Client)).await?.ended().await;
    Ok(())
}
