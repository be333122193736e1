//! Many measurements, each in a process of its own, the frameworks interleaved within a round: what
//! disturbs the machine for a while disturbs all of them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap::ValueEnum;

use crate::line::{Line, Outcome, Subject};
use crate::measure::Case;
use crate::workload::Workload;

/// Longest that a measurement may take: ten times what the slowest takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A measurement that failed so often in a row is not tried again.
const FAILURES_MAX: usize = 2;

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) frameworks: Vec<Subject>,
}

impl Plan {
    /// All that is asked for; empty lists ask for everything.
    pub(crate) fn new(
        quick: bool,
        rounds: Option<u32>,
        workloads: Vec<Workload>,
        frameworks: Vec<Subject>,
    ) -> Self {
        let rounds = rounds.unwrap_or(if quick { 3 } else { 7 });
        Self { quick, rounds, workloads: or_all(workloads), frameworks: or_all(frameworks) }
    }

    /// The measurements of a round. Each round begins with another framework.
    fn cases(&self, round: u32) -> Vec<Case> {
        let mut frameworks = self.frameworks.clone();
        let n_frameworks = frameworks.len().max(1);
        frameworks.rotate_left(usize::try_from(round).unwrap_or(0) % n_frameworks);
        let mut cases = Vec::new();
        for workload in self.workloads.iter().copied() {
            let n = if self.quick { workload.n_quick() } else { workload.n() };
            for workers in workload.workers().iter().copied() {
                for framework in frameworks.iter().copied() {
                    cases.push(Case { framework, workload, workers, n });
                }
            }
        }
        cases
    }
}

fn or_all<T: ValueEnum + Clone>(asked: Vec<T>) -> Vec<T> {
    if asked.is_empty() { T::value_variants().to_vec() } else { asked }
}

/// Where results are kept, below the target folder.
pub(crate) fn results_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/results.jsonl")
}

/// Runs `plan`; the lines are in the results file too, as soon as they are there.
pub(crate) fn run(plan: &Plan) -> io::Result<Vec<Line>> {
    let path = results_path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::create(&path)?;
    let mut lines: Vec<Line> = Vec::new();
    for round in 1..=plan.rounds {
        for case in plan.cases(round) {
            if is_hopeless(&lines, case) {
                continue;
            }
            let mut line = measure_apart(case)?;
            line.round = Some(round);
            tell_progress(plan, &line)?;
            serde_json::to_writer(&mut file, &line)?;
            writeln!(file)?;
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Whether there is no use in measuring it once more.
fn is_hopeless(lines: &[Line], case: Case) -> bool {
    let mut n_failed = 0;
    let same = |line: &&Line| {
        (line.framework, line.workload, line.workers)
            == (case.framework, case.workload, case.workers)
    };
    for line in lines.iter().filter(same) {
        match line.outcome {
            Outcome::NotApplicable { .. } => return true,
            Outcome::Failed { .. } => n_failed += 1,
            Outcome::Measured(_) => n_failed = 0,
        }
    }
    n_failed >= FAILURES_MAX
}

fn tell_progress(plan: &Plan, line: &Line) -> io::Result<()> {
    let Line { framework, workload, workers, round, outcome } = line;
    let text = match outcome {
        Outcome::Measured(measured) => format!("{:.0} ns", measured.wall_ns),
        Outcome::Failed { failed } => format!("failed: {failed}"),
        Outcome::NotApplicable { not_applicable } => format!("n/a: {not_applicable}"),
    };
    let (round, rounds) = (round.unwrap_or(0), plan.rounds);
    writeln!(io::stderr(), "{round}/{rounds} {workload} ({workers} workers) {framework}: {text}")
}

/// Measures in another process, and ends that process once it has printed its line: taking a million
/// actors down takes longer than some measurements, and is none.
fn measure_apart(case: Case) -> io::Result<Line> {
    let Case { framework, workload, workers, n } = case;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["measure", &framework.to_string(), &workload.to_string()])
        .args(["--n", &n.to_string(), "--workers", &workers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let answer = first_line(&mut child, LIMIT);
    // It may have ended by itself.
    drop(child.kill());
    let status = child.wait()?;
    let outcome = match answer.as_deref().map(serde_json::from_str::<Line>) {
        Some(Ok(line)) => line.outcome,
        Some(Err(_)) => {
            let mut errors = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut errors)?;
            }
            let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no words");
            Outcome::Failed { failed: format!("{status}: {last}") }
        }
        None => Outcome::Failed { failed: format!("no result within {LIMIT:?}") },
    };
    Ok(Line { framework, workload, workers, round: None, outcome })
}

/// What `child` prints first; `None` if that takes longer than `limit`.
fn first_line(child: &mut Child, limit: Duration) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // A process that fails prints nothing; an empty line says so.
        drop(BufReader::new(stdout).read_line(&mut line));
        drop(sender.send(line));
    });
    receiver.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_framework() {
        let plan = Plan::new(
            true,
            None,
            vec![Workload::Tell, Workload::Skynet],
            vec![Subject::Kanal, Subject::Flume],
        );
        assert_eq!(plan.rounds, 3);
        let firsts: Vec<_> = (0..3).map(|round| plan.cases(round)[0].framework).collect();
        assert_eq!(firsts, [Subject::Kanal, Subject::Flume, Subject::Kanal]);
        let workers: Vec<_> = plan.cases(0).iter().map(|case| case.workers).collect();
        assert_eq!(workers, [2, 2, 2, 2, 1, 1, 8, 8]);
    }

    #[test]
    fn what_fails_twice_in_a_row_or_does_not_apply_is_not_tried_again() {
        let case = Case { framework: Subject::Xtra, workload: Workload::Tell, workers: 2, n: 1 };
        let line = |outcome: Outcome| Line {
            framework: case.framework,
            workload: case.workload,
            workers: case.workers,
            round: Some(1),
            outcome,
        };
        let failed = || line(Outcome::Failed { failed: "hangs".to_owned() });
        let lacking = line(Outcome::NotApplicable { not_applicable: "lacks it".to_owned() });
        assert!(!is_hopeless(&[], case));
        assert!(!is_hopeless(&[failed()], case));
        assert!(is_hopeless(&[failed(), failed()], case));
        assert!(is_hopeless(&[lacking], case));
        assert!(!is_hopeless(&[failed(), failed()], Case { workers: 8, ..case }));
    }

    #[test]
    fn a_process_that_hangs_gives_no_line_and_one_that_fails_an_empty_one() {
        let start = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
        };
        let mut hanging = start("exec sleep 60");
        assert_eq!(first_line(&mut hanging, Duration::from_millis(20)), None);
        hanging.kill().unwrap();
        hanging.wait().unwrap();
        for (script, line) in [("exit 3", ""), ("echo it; echo more", "it\n")] {
            let mut process = start(script);
            assert_eq!(first_line(&mut process, LIMIT).as_deref(), Some(line));
            process.wait().unwrap();
        }
    }
}
