//! The arguments. Ranges and conflicts are checked here, so that no command sees nonsense.

mod doc;
mod durable;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::period;

pub(crate) use self::doc::{
    DocArgs, DocVerb, EditArgs, RevertArgs, ServeArgs, ServerArgs, SuggestionVerb,
};
pub(crate) use self::durable::{
    DeadLettersArgs, DeadLettersVerb, PruneArgs, RunsArgs, RunsVerb, StateArgs, StoreArgs,
    StoreVerb, Which,
};

const EXAMPLES: &str = "\
Examples:
  ggml-agent demo                                         watch a team survive, in under 30 s
  ggml-agent demo --document notes.md --out notes.out.md  give your document abstracts and contents
  ggml-agent demo supervisor                              one rule at a time, checked
  ggml-agent demo --output json | jq -c .                 every event as one JSON object
  ggml-agent doc serve report.md                          edit a file together, in the browser
  ggml-agent bench                                        what this machine does, in 20 s
  ggml-agent runs show report                             how far a run came, and what it waits for
  ggml-agent deadletters ls                               what could not be delivered
  ggml-agent store check                                  is everything that is kept whole
  ggml-agent completions bash > ggml-agent.bash           completions for your shell

Exit codes: 0 ok, 1 failure, 2 usage, 4 not found, 5 unreachable, 6 timeout, 9 partial success, 10 conflict, \
130 SIGINT, 143 SIGTERM.";

/// Runs teams of agents that survive.
#[derive(Debug, Parser)]
#[command(name = "ggml-agent", version, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Form of the output: lines for people, or one JSON object per line. By default `human` on a
    /// terminal and `json` elsewhere; `bench` and `version` are for people unless told otherwise.
    #[arg(short, long, global = true, help_heading = "Output", value_enum, value_name = "FORM")]
    pub(crate) output: Option<Form>,
    /// Say more; with the details of each restart and each lock.
    #[arg(short, long, global = true, help_heading = "Output", action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say only the result.
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// No colour, as with NO_COLOR set. Colour is never the only signal.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_color: bool,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// One line per event, for people.
    Human,
    /// One JSON object per event.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch a team of agents work on a document while its members are killed.
    ///
    /// One editor hands out the sections of a document; writers lock a section, think, edit it and
    /// release it. Meanwhile writers are killed, and what a killed writer still had under way is
    /// replayed with its old lock. At the end the file is read again: every accepted edit must be in
    /// it, and without what was added it must be the input, byte for byte.
    ///
    /// The model is scripted: deterministic text functions in place of a language model. No GPU, no
    /// key, no network.
    Demo(DemoArgs),
    /// Measure this machine: messages, asks, starts, restarts and memory beside raw tokio.
    ///
    /// Agents as users get them and raw tokio (a spawned task with an unbounded channel, answers by
    /// oneshot) are measured in the same run, in rounds that alternate. Each figure is the median of
    /// the rounds, beside the median of their ratios.
    Bench(BenchArgs),
    /// Serve a Markdown file to people and agents who edit it at once; look at what they do.
    Doc(DocArgs),
    /// Look at runs, send them signals, cancel them.
    Runs(RunsArgs),
    /// Look at messages that could not be delivered; send them again or drop them.
    #[command(name = "deadletters")]
    DeadLetters(DeadLettersArgs),
    /// Check, measure, compact or back up what is kept on disk.
    Store(StoreArgs),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

const DEMO_EXAMPLES: &str = "\
Examples:
  ggml-agent demo
  ggml-agent demo --seed 7 --kill-every 500ms
  ggml-agent demo --document notes.md --out notes.out.md
  ggml-agent demo --document notes.md --in-place
  ggml-agent demo --durable    kill it, and start it again
  ggml-agent demo document";

/// The arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(group = ArgGroup::new("target").args(["out", "in_place"]))]
#[command(subcommand_value_name = "RULE", subcommand_help_heading = "One rule at a time")]
#[command(disable_help_subcommand = true)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) rule: Option<Rule>,
    /// The Markdown file to work on; a built-in text without it. It is only read, unless
    /// with --in-place.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) document: Option<PathBuf>,
    /// Where to write the result: whole or not at all, and never over an existing file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the result over the document itself, unless somebody else changed it meanwhile.
    #[arg(long, requires = "document")]
    pub(crate) in_place: bool,
    /// Let --out replace an existing file (never the document itself).
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// How many writers, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) writers: u16,
    /// How many sections a writer takes in a row before it lets the others have a turn, 1 to 100.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) sections_per_writer: u16,
    /// How often a writer is killed, 50ms to 1h [default: 2s, or 500ms with --document].
    #[arg(long, value_name = "TIME", value_parser = period::kill_every)]
    pub(crate) kill_every: Option<Duration>,
    /// Where all randomness comes from: who is killed, how long each thought takes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) kept: Kept,
    /// Longest time that the work may take, 1s to 24h; then nothing is written.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = period::run)]
    pub(crate) duration: Duration,
}

/// Whether and where a demo keeps its work.
#[derive(Debug, Args)]
pub(crate) struct Kept {
    /// Keep the document and the run on disk: a demo that was killed goes on where it was.
    #[arg(long)]
    pub(crate) durable: bool,
    /// Where to keep them; made if it is not there.
    #[arg(long, value_name = "DIR", requires = "durable", default_value = "ggml-agent-demo")]
    pub(crate) state: PathBuf,
}

/// One rule, narrated line by line and checked at the end.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Rule {
    /// A worker fails and comes back; its siblings and its queued messages do not notice.
    Supervisor,
    /// Two editors want one section: locks, fencing tokens, and a stale edit that is refused.
    Document,
    /// A circuit breaker goes CLOSED, OPEN, HALF_OPEN, CLOSED.
    Breaker,
}

const BENCH_EXAMPLES: &str = "\
Examples:
  ggml-agent bench
  ggml-agent bench --seconds 60 --json | jq -c 'select(.ratio)'
  ggml-agent bench fairness    exit code 1 when somebody starves
  ggml-agent bench memory";

/// The arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(subcommand_value_name = "CHECK", subcommand_help_heading = "Checks")]
#[command(disable_help_subcommand = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) what: Option<Bench>,
    /// How long all of it takes, about, in seconds, 2 to 600.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=600))]
    pub(crate) seconds: u16,
    #[command(flatten)]
    pub(crate) common: BenchCommon,
}

/// What all benchmarks take.
#[derive(Debug, Args)]
pub(crate) struct BenchCommon {
    /// Worker threads, 1 to 256 [default: one per core].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Short for --output json.
    #[arg(long, global = true, help_heading = "Output", conflicts_with = "output")]
    pub(crate) json: bool,
    /// Smaller and shorter, for tests of the form: the figures mean nothing.
    #[arg(long, global = true, hide = true)]
    pub(crate) brief: bool,
}

/// What is promised, measured and checked: exit code 1 when it does not hold.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Bench {
    /// Nobody starves beside an agent that is flooded, or beside one that holds its thread.
    ///
    /// 1,000 agents get 100 messages/s each: first by themselves, then beside one agent that is
    /// flooded without pause (their 99th percentile may be 3 times as long), then for 5 s beside one
    /// whose handler holds its thread (none of them may wait for more than 1 s, and the event
    /// `AgentBlocks` must come within 1 s).
    Fairness {
        /// How long the first two phases take together, in seconds, 2 to 600.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=600))]
        seconds: u16,
    },
    /// What idle and busy agents weigh, under supervisors with heartbeats on.
    ///
    /// Bytes of an idle agent, CPU time while all are idle, and bytes of 1,000 agents with 1,000
    /// messages each, at the peak and 2 s after it: then all memory together may be at most 1.2
    /// times that of before. Bytes are resident memory, from /proc; elsewhere this is skipped.
    Memory {
        /// How many agents, 1,000 to 10,000,000.
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
        agents: u32,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        super::Cli::command().debug_assert();
    }
}
