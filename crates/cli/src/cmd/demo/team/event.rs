//! What the team does that nobody else publishes.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use ggml_agent::{AgentId, CustomEvent};
use ggml_agent_core::lease::Token;
use ggml_agent_doc::{Holder, SectionId};

use crate::cmd::demo::narrate::sign;
use crate::output::{Level, Line, Tone};

/// One thing that a member of the team did.
#[derive(Debug, Clone)]
pub(crate) enum TeamEvent {
    /// The editor gave a section to a writer.
    Assigned { section: SectionId, writer: AgentId },
    /// The editor took the section of a writer that has ended back.
    Requeued { section: SectionId, writer: AgentId },
    /// A section is finished.
    SectionDone { section: SectionId, n_done: usize, n_sections: usize },
    /// Chaos kills a writer.
    Kill { writer: AgentId, holds: Option<(SectionId, Token)> },
    /// Chaos sends the edit that a killed writer still had under way.
    Replay { from: Holder, section: SectionId, token: Token },
    /// The document accepted what it must refuse.
    ReplayAccepted { from: Holder, section: SectionId },
    /// Everything is written.
    Finished,
    /// The tree has ended in order: nothing comes after this.
    Stopped,
    /// The document refuses what the team wants to write.
    Stuck { section: SectionId, why: String },
}

impl fmt::Display for TeamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned { section, writer } => write!(f, "{} goes to {writer}", sign(*section)),
            Self::Requeued { section, writer } => {
                write!(f, "{} of {writer} goes back to the queue", sign(*section))
            }
            Self::SectionDone { section, n_done, n_sections } => {
                write!(f, "{} is done, {n_done} of {n_sections}", sign(*section))
            }
            Self::Kill { writer, holds: Some((section, token)) } => {
                write!(f, "KILLS {writer}, which holds {} with fence {token}", sign(*section))
            }
            Self::Kill { writer, holds: None } => write!(f, "KILLS {writer}, which holds nothing"),
            Self::Replay { from, section, token } => {
                write!(f, "replays the late edit of {from}: {}, fence {token}", sign(*section))
            }
            Self::ReplayAccepted { from, section } => {
                write!(f, "the late edit of {from} was ACCEPTED: {}", sign(*section))
            }
            Self::Finished => f.write_str("all sections and the table of contents are written"),
            Self::Stopped => f.write_str("the team has ended, the last started first"),
            Self::Stuck { section, why } => {
                write!(f, "{} cannot be written: {why}", sign(*section))
            }
        }
    }
}

impl CustomEvent for TeamEvent {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Assigned { .. } => "team.assigned",
            Self::Requeued { .. } => "team.requeued",
            Self::SectionDone { .. } => "team.section_done",
            Self::Kill { .. } => "team.kill",
            Self::Replay { .. } => "team.replay",
            Self::ReplayAccepted { .. } => "team.replay_accepted",
            Self::Finished => "team.finished",
            Self::Stopped => "team.stopped",
            Self::Stuck { .. } => "team.stuck",
        }
    }
}

impl TeamEvent {
    /// Its line.
    pub(crate) fn line(&self, at: Duration) -> Line {
        let who = match self {
            Self::Kill { .. } | Self::Replay { .. } | Self::ReplayAccepted { .. } => "chaos",
            Self::Stopped => "demo",
            _ => "editor",
        };
        let line = Line::new(at, who, self.name(), self.to_string());
        match self {
            Self::Assigned { section, writer } => line
                .level(Level::Detail)
                .with("section", section.to_string())
                .with("writer", writer.as_str()),
            Self::Requeued { section, writer } => {
                line.with("section", section.to_string()).with("writer", writer.as_str())
            }
            Self::SectionDone { section, n_done, .. } => line
                .level(Level::Detail)
                .with("section", section.to_string())
                .with("n_done", *n_done),
            Self::Kill { writer, holds } => {
                let section = holds.map(|(section, _)| section.to_string());
                let fence = holds.map(|(_, token)| token.as_u64());
                line.tone(Tone::Bad)
                    .with("writer", writer.as_str())
                    .with("section", section)
                    .with("fence", fence)
            }
            Self::Replay { from, section, token } => line
                .with("holder", from.to_string())
                .with("section", section.to_string())
                .with("fence", token.as_u64()),
            Self::ReplayAccepted { section, .. } | Self::Stuck { section, .. } => {
                line.tone(Tone::Bad).with("section", section.to_string())
            }
            Self::Finished => line.tone(Tone::Good),
            Self::Stopped => line.level(Level::Detail),
        }
    }
}
