//! What the lines come to: medians over the rounds, and ratios within a round.

use crate::line::{Line, Measured, Outcome, Subject};
use crate::stats::median;
use crate::workload::Workload;

/// Run-to-run spread: a smaller difference means nothing.
pub(crate) const SLACK: f64 = 1.15;

/// A workload on so many workers.
pub(crate) type Setting = (Workload, usize);

/// All lines of a run.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    lines: &'a [Line],
}

impl<'a> Summary<'a> {
    pub(crate) fn new(lines: &'a [Line]) -> Self {
        Self { lines }
    }

    /// The measurements of one subject, with their rounds.
    fn samples(
        &self,
        (workload, workers): Setting,
        framework: Subject,
    ) -> impl Iterator<Item = (Option<u32>, &'a Measured)> {
        self.lines.iter().filter_map(move |line| match &line.outcome {
            Outcome::Measured(measured)
                if (line.workload, line.workers, line.framework)
                    == (workload, workers, framework) =>
            {
                Some((line.round, measured))
            }
            _ => None,
        })
    }

    /// The median of what `of` takes from the measurements.
    pub(crate) fn median(
        &self,
        setting: Setting,
        framework: Subject,
        of: impl Fn(&Measured) -> Option<f64>,
    ) -> Option<f64> {
        median(self.samples(setting, framework).filter_map(|(_, measured)| of(measured)))
    }

    /// The median ratio of what `of` takes from two measurements of the same round.
    pub(crate) fn ratio(
        &self,
        (setting, framework): (Setting, Subject),
        (base_setting, base): (Setting, Subject),
        of: impl Fn(&Measured) -> f64,
    ) -> Option<f64> {
        let of = &of;
        let pairs = self.samples(setting, framework).flat_map(|(round, measured)| {
            let same_round = self
                .samples(base_setting, base)
                .filter(move |(base_round, _)| *base_round == round);
            same_round.map(move |(_, base)| of(measured) / of(base))
        });
        median(pairs.filter(|ratio| ratio.is_finite()))
    }

    /// Wall time as a ratio to tokio's channel.
    pub(crate) fn wall_ratio(&self, setting: Setting, framework: Subject) -> Option<f64> {
        self.ratio((setting, framework), (setting, Subject::TokioMpsc), |measured| measured.wall_ns)
    }

    /// CPU time as a ratio to tokio's channel.
    pub(crate) fn cpu_ratio(&self, setting: Setting, framework: Subject) -> Option<f64> {
        self.ratio((setting, framework), (setting, Subject::TokioMpsc), |measured| measured.cpu_ns)
    }

    /// Wall time of `framework` as a ratio to that of `other`.
    pub(crate) fn against(
        &self,
        setting: Setting,
        framework: Subject,
        other: Subject,
    ) -> Option<f64> {
        self.ratio((setting, framework), (setting, other), |measured| measured.wall_ns)
    }

    pub(crate) fn wall_ns(&self, setting: Setting, framework: Subject) -> Option<f64> {
        self.median(setting, framework, |measured| Some(measured.wall_ns))
    }

    /// The quickest of those that `is_one` accepts, by ratio to tokio's channel where it takes part,
    /// else by wall time.
    pub(crate) fn quickest(
        &self,
        setting: Setting,
        is_one: impl Fn(Subject) -> bool,
    ) -> Option<Subject> {
        let has_base = self.wall_ns(setting, Subject::TokioMpsc).is_some();
        let cost = |subject| {
            if has_base {
                self.wall_ratio(setting, subject)
            } else {
                self.wall_ns(setting, subject)
            }
        };
        let timed = self.subjects().into_iter().filter(|subject| is_one(*subject));
        timed
            .filter_map(|subject| Some((subject, cost(subject)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(subject, _)| subject)
    }

    /// Everybody who has a line, in the order of the columns.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        distinct(self.lines.iter().map(|line| line.framework))
    }

    /// Every workload that has a line.
    pub(crate) fn workloads(&self) -> Vec<Workload> {
        distinct(self.lines.iter().map(|line| line.workload))
    }

    /// Why a subject has no number: it failed in so many rounds, or it has no such thing.
    pub(crate) fn reason(&self, setting: Setting, framework: Subject) -> Option<String> {
        let of_it = self.lines.iter().filter(|line| {
            (line.workload, line.workers, line.framework) == (setting.0, setting.1, framework)
        });
        let mut n_failed = 0;
        let mut last = None;
        for line in of_it {
            match &line.outcome {
                Outcome::Measured(_) => {}
                Outcome::NotApplicable { not_applicable } => return Some(not_applicable.clone()),
                Outcome::Failed { failed } => {
                    n_failed += 1;
                    last = Some(failed);
                }
            }
        }
        last.map(|failed| format!("failed {n_failed} times, last: {failed}"))
    }
}

fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A measurement of `tell` or another workload on two workers.
    pub(crate) fn line(framework: Subject, workload: Workload, round: u32, wall_ns: f64) -> Line {
        let (cpu_ns, extra) = (wall_ns * 2.0, BTreeMap::new());
        let measured = Measured { n: 1, wall_ns, cpu_ns, bytes: None, extra };
        let outcome = Outcome::Measured(measured);
        Line { framework, workload, workers: 2, round: Some(round), outcome }
    }

    const TELL: Setting = (Workload::Tell, 2);

    #[test]
    fn a_ratio_is_that_of_the_same_round_and_the_median_of_them() {
        let of = |framework, round, ns| line(framework, Workload::Tell, round, ns);
        let lines = [
            of(Subject::TokioMpsc, 1, 100.0),
            of(Subject::GgmlAgent, 1, 50.0),
            // A round in which the machine was busy.
            of(Subject::TokioMpsc, 2, 1_000.0),
            of(Subject::GgmlAgent, 2, 400.0),
            of(Subject::TokioMpsc, 3, 100.0),
            of(Subject::GgmlAgent, 3, 30.0),
            // No partner.
            of(Subject::GgmlAgent, 4, 1.0),
        ];
        let summary = Summary::new(&lines);
        assert_eq!(summary.wall_ratio(TELL, Subject::GgmlAgent), Some(0.4));
        assert_eq!(summary.wall_ratio(TELL, Subject::Actix), None);
        assert_eq!(summary.wall_ns(TELL, Subject::TokioMpsc), Some(100.0));
        assert_eq!(summary.quickest(TELL, |_| true), Some(Subject::GgmlAgent));
        assert_eq!(summary.quickest(TELL, Subject::is_channel), Some(Subject::TokioMpsc));
    }

    #[test]
    fn a_reason_counts_the_failures() {
        let mut failed = line(Subject::Xtra, Workload::Tell, 1, 1.0);
        failed.outcome = Outcome::Failed { failed: "hangs".to_owned() };
        let lines = [failed.clone(), failed, line(Subject::Kameo, Workload::Tell, 1, 1.0)];
        let summary = Summary::new(&lines);
        let reason = summary.reason(TELL, Subject::Xtra);
        assert_eq!(reason.as_deref(), Some("failed 2 times, last: hangs"));
        assert_eq!(summary.reason(TELL, Subject::Kameo), None);
    }
}
