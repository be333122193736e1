//! A measurement as a line of JSON: what `measure` prints and `run` collects.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Subject {
    GgmlAgent,
    TokioMpsc,
    Kanal,
    Flume,
    Actix,
    Ractor,
    Kameo,
    Xtra,
    Beam,
}

impl Subject {
    /// Whether it is a channel with a task by hand rather than a framework.
    pub(crate) fn is_channel(self) -> bool {
        matches!(self, Self::TokioMpsc | Self::Kanal | Self::Flume)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("invariant: no subject is hidden");
        f.write_str(value.get_name())
    }
}

/// One measurement, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) framework: Subject,
    pub(crate) workload: Workload,
    pub(crate) workers: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round: Option<u32>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What became of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Measured(Measured),
    /// It was tried and failed.
    Failed {
        failed: String,
    },
    /// The framework has no such thing.
    NotApplicable {
        not_applicable: String,
    },
}

/// The numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) n: u64,
    /// Per operation.
    pub(crate) wall_ns: f64,
    /// Per operation, of all threads of the process.
    pub(crate) cpu_ns: f64,
    /// Resident memory per actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) extra: BTreeMap<String, f64>,
}

impl Measured {
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn with_bytes(mut self, bytes: f64) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_its_json() {
        let measured = Measured {
            n: 10,
            wall_ns: 1.5,
            cpu_ns: 2.5,
            bytes: Some(126.0),
            extra: BTreeMap::from([("p99_ns".to_owned(), 3.0)]),
        };
        let outcomes = [
            Outcome::Measured(measured),
            Outcome::Failed { failed: "no result within 60 s".to_owned() },
            Outcome::NotApplicable { not_applicable: "has no names".to_owned() },
        ];
        for outcome in outcomes {
            let line = Line {
                framework: Subject::GgmlAgent,
                workload: Workload::ManyIdle,
                workers: 2,
                round: Some(3),
                outcome,
            };
            let json = serde_json::to_string(&line).unwrap();
            assert!(json.contains("\"ggml-agent\"") && json.contains("\"many_idle\""), "{json}");
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
        }
    }
}
