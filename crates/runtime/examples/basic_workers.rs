//! Three workers under a supervisor: one crashes, starts again, and no queued task is lost.
//! `cargo run --example basic_workers`
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use ggml_agent::{Agent, ChildSpec, Context, Reply, Report, Supervisor, System};

struct Worker;

enum Task {
    Square(u64, Reply<u64>),
    Crash,
}

impl Agent for Worker {
    type Msg = Task;
    type Error = Report;

    async fn on_start(&mut self, ctx: &mut Context<Self>) -> Result<(), Report> {
        println!("{} starts, incarnation {}", ctx.id(), ctx.incarnation());
        Ok(())
    }

    async fn handle(&mut self, task: Task, _ctx: &mut Context<Self>) -> Result<(), Report> {
        match task {
            Task::Square(n, reply) => reply.send(n * n),
            Task::Crash => return Err(Report::msg("a bug")),
        }
        Ok(())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    let workers = (1..=3).map(|n| ChildSpec::new(format!("worker-{n}"), || Worker));
    let team = system.supervise(Supervisor::new("team").children(workers)).await?;

    let worker = system.lookup::<Worker>("worker-2").ok_or("just started")?;
    worker.tell(Task::Crash)?;
    // Sent to the same address; answered by the next incarnation.
    let square = worker.ask(|reply| Task::Square(12, reply)).await?;
    println!("12 squared is {square}, says incarnation {} of worker-2", worker.incarnation());

    for child in team.children().await? {
        println!("{} is {:?}, restarts: {}", child.id, child.state, child.restarts);
    }
    team.stop().await;
    Ok(())
}
