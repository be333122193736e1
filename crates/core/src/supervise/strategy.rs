//! Which siblings a failure reaches, and when the end of children ends the supervisor.

use std::fmt;
use std::str::FromStr;

use super::event::ChildKey;

/// Which children are restarted together with one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Strategy {
    /// Only itself. Holds S15.
    #[default]
    OneForOne,
    /// All: the others stop in reverse start order, then all start in start order. Holds S16, S17.
    OneForAll,
    /// Itself and those started after it. Holds S18, S19.
    RestForOne,
}

impl Strategy {
    /// The first child that a failure of `failed` reaches; it and all after it are restarted.
    /// `None`: the failure stays with the child.
    #[must_use]
    pub(crate) fn group_from(self, failed: ChildKey) -> Option<ChildKey> {
        match self {
            Self::OneForOne => None,
            Self::OneForAll => Some(ChildKey::FIRST),
            Self::RestForOne => Some(failed),
        }
    }

    /// The name used in specs, logs and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a strategy; use one_for_one, one_for_all or rest_for_one")]
pub struct ParseStrategyError;

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    /// Accepts `one_for_one`, `ONE_FOR_ONE` and `one-for-one`, and the other two likewise.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let same = |name: &str| {
            text.len() == name.len()
                && text.bytes().zip(name.bytes()).all(|(a, b)| {
                    let a = if a == b'-' { b'_' } else { a.to_ascii_lowercase() };
                    a == b
                })
        };
        [Self::OneForOne, Self::OneForAll, Self::RestForOne]
            .into_iter()
            .find(|strategy| same(strategy.as_str()))
            .ok_or(ParseStrategyError)
    }
}

/// Whether the supervisor ends when significant children have ended by themselves, for good.
///
/// Holds S29.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When any significant child has.
    AnySignificant,
    /// When the last significant child has.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether the supervisor ends, now that a significant child has ended for good by itself and
    /// `significant_left` others are not stopped.
    #[must_use]
    pub(crate) fn applies(self, significant_left: usize) -> bool {
        match self {
            Self::Never => false,
            Self::AnySignificant => true,
            Self::AllSignificant => significant_left == 0,
        }
    }
}
