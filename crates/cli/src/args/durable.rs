//! The arguments of what looks at a state folder.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ggml_agent_core::AgentId;

/// Where the state is.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The state folder [default: $XDG_STATE_HOME/ggml-agent, or ~/.local/state/ggml-agent].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

const STORE_EXAMPLES: &str = "\
Examples:
  ggml-agent store check                   exit code 1 when something is damaged
  ggml-agent store stats -o json
  ggml-agent store backup monday.db
  ggml-agent store prune --runs-days 30 --deadletters-max 1000 --dry-run
  ggml-agent store release writer          after a repair, or when the memory was at fault

A backup becomes a store again in a folder of its own, under the name `store.db`:
  mkdir restored && cp monday.db restored/store.db
  ggml-agent store check --state restored

A store has one owner: while another process has it open, `stats` and `prune --dry-run` work on a copy of one moment; the others name that process.";

/// The arguments of `store`.
#[derive(Debug, Args)]
#[command(after_help = STORE_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) verb: StoreVerb,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// What is done with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Check every page, checksum, chain and count; list what is damaged.
    Check,
    /// Count what is kept.
    Stats,
    /// Give unused space back to the disk. It needs as much space again for its time.
    Compact,
    /// Copy the store into one file, checked: put into a folder of its own as `store.db`, it is a store.
    Backup {
        /// Where to; never over an existing file.
        file: PathBuf,
    },
    /// Forget runs that are over and dead letters, by age or number. Asks on a terminal; elsewhere say --yes.
    Prune(PruneArgs),
    /// Use an agent again that was set aside as damaged, if all its records are whole now.
    Release {
        /// Its name, as `store check` has it.
        agent: AgentId,
    },
    /// Forget an agent that was set aside as damaged, with all that is kept of it. Asks on a terminal;
    /// elsewhere say --yes.
    Discard {
        /// Its name, as `store check` has it.
        agent: AgentId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// The arguments of `store prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Forget runs that were completed or cancelled so many days ago; one that failed can go on, and stays.
    #[arg(long, value_name = "DAYS")]
    pub(crate) runs_days: Option<u32>,
    /// Forget dead letters whose messages were made so many days ago.
    #[arg(long, value_name = "DAYS")]
    pub(crate) deadletters_days: Option<u32>,
    /// Keep so many dead letters, the newest.
    #[arg(long, value_name = "N")]
    pub(crate) deadletters_max: Option<u64>,
    /// Only say what would be forgotten. It works while another process has the store open.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

const DEADLETTERS_EXAMPLES: &str = "\
Examples:
  ggml-agent deadletters ls
  ggml-agent deadletters show 3
  ggml-agent deadletters resend --all
  ggml-agent deadletters drop 3 --yes";

/// The arguments of `deadletters`.
#[derive(Debug, Args)]
#[command(after_help = DEADLETTERS_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    pub(crate) verb: DeadLettersVerb,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersVerb {
    /// List them, the eldest first.
    Ls,
    /// Show one: headers, reason, attempts, payload.
    Show {
        /// Its number.
        #[arg(value_name = "N")]
        number: u64,
    },
    /// Put one back into the mailbox that it came from, as if it had never been delivered.
    Resend {
        #[command(flatten)]
        which: Which,
    },
    /// Forget one, for good. Asks on a terminal; elsewhere, and for all, say --yes.
    Drop {
        #[command(flatten)]
        which: Which,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// One dead letter or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Its number.
    #[arg(value_name = "N")]
    pub(crate) number: Option<u64>,
    /// All that are there now.
    #[arg(long)]
    pub(crate) all: bool,
}

const RUNS_EXAMPLES: &str = "\
Examples:
  ggml-agent runs ls
  ggml-agent runs show report
  ggml-agent runs signal report approval '\"granted\"'
  ggml-agent runs export report > report.json

A run goes on where it stopped when the program that began it is started again.";

/// The arguments of `runs`.
#[derive(Debug, Args)]
#[command(after_help = RUNS_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) verb: RunsVerb,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// What is done with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsVerb {
    /// List them by name, with where they stand.
    Ls,
    /// Show one: its steps, signals, and what it waits for.
    Show {
        /// Its name.
        name: String,
    },
    /// Send one a signal, such as a person's approval.
    Signal {
        /// Its name.
        name: String,
        /// The signal's name.
        signal: String,
        /// What comes with it.
        #[arg(value_name = "JSON", default_value = "null", value_parser = json)]
        payload: serde_json::Value,
    },
    /// Cancel one: when it is begun again, nothing more of it happens.
    Cancel {
        /// Its name.
        name: String,
    },
    /// Print everything that is known of one as one JSON document.
    Export {
        /// Its name.
        name: String,
    },
    /// Forget one with all its results. If it is not over, it asks on a terminal; elsewhere say --yes.
    Rm {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("not JSON, where a text needs its quotes: {error}"))
}
