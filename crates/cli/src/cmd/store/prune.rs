//! `ggml-agent store prune`.

use std::time::{Duration, SystemTime};

use ggml_agent::Retention;

use crate::args::{PruneArgs, StateArgs};
use crate::cmd::{look, must_agree, result};
use crate::failure::{Code, Failure};
use crate::output::Screen;
use crate::state::State;

pub(super) fn run(prune: &PruneArgs, args: &StateArgs, screen: &mut Screen) -> Result<(), Failure> {
    let days = |days: Option<u32>| days.map(|n| Duration::from_secs(86_400 * u64::from(n)));
    let retention = Retention {
        runs_for: days(prune.runs_days),
        dead_letters_for: days(prune.deadletters_days),
        dead_letters_max: prune.deadletters_max,
    };
    if retention == Retention::default() {
        return Err(Failure::msg(Code::Usage, "nothing says what is not kept")
            .next("add --runs-days, --deadletters-days or --deadletters-max"));
    }
    let now_ms = unix_ms();
    let state = if prune.dry_run { look(args, screen)? } else { State::open(args)? };
    let expired = if prune.dry_run {
        state.ask(retention.expired(&state.store, now_ms))?
    } else {
        if !prune.yes {
            let found = state.ask(retention.expired(&state.store, now_ms))?;
            let (n_runs, n_letters) = (found.runs.len(), found.dead_letters.len());
            let question = format!(
                "forget {n_runs} runs with their results and {n_letters} dead letters for good?"
            );
            must_agree(&question, true)?;
        }
        state.ask(retention.apply(&state.store, now_ms))?
    };
    let verb = if prune.dry_run { "would be forgotten" } else { "is forgotten" };
    for name in &expired.runs {
        let line = result("store.pruned_run", format!("run {name} {verb}"));
        screen.line(&line.with("name", name.as_str()));
    }
    for number in &expired.dead_letters {
        let line = result("store.pruned_deadletter", format!("dead letter {number} {verb}"));
        screen.line(&line.with("number", *number));
    }
    let (n_runs, n_letters) = (expired.runs.len(), expired.dead_letters.len());
    let would = if prune.dry_run { "would be forgotten" } else { "forgotten" };
    let line =
        result("store.pruned", format!("{n_runs} runs and {n_letters} dead letters {would}"));
    let line = line.with("dry_run", prune.dry_run).with("runs", n_runs);
    screen.line(&line.with("dead_letters", n_letters));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how old what is kept is, is told by the wall clock")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
