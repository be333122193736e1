//! Who writes, and how one names what one does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ggml_agent_core::AgentId;

use crate::limits::OP_ID_BYTES_MAX;

/// One life of an agent: locks and subscriptions belong to it, not to the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    agent: AgentId,
    incarnation: u64,
    kind: Kind,
}

/// What kind of author somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Kind {
    /// A program: it takes no lock from anybody.
    #[default]
    Agent,
    /// Somebody at a screen: may take the lock of an agent.
    Person,
    /// The file of the document, changed by somebody else.
    File,
}

/// The name of one command, given by its author: the same name is carried out once.
///
/// 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(Arc<str>);

impl OpId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OpId {
    type Err = ParseOpIdError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        if id.is_empty() || id.len() > OP_ID_BYTES_MAX || id.contains(char::is_control) {
            return Err(ParseOpIdError { len: id.len() });
        }
        Ok(Self(id.into()))
    }
}

/// Why a text is not the name of a command. The caller is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an operation id has 1 to {OP_ID_BYTES_MAX} bytes without control characters; this one has {len} bytes"
)]
pub struct ParseOpIdError {
    len: usize,
}

impl Holder {
    /// The life number `incarnation` of `agent`; later lives have larger numbers.
    #[must_use]
    pub fn new(agent: AgentId, incarnation: u64) -> Self {
        Self::of(Kind::Agent, agent, incarnation)
    }

    /// The life number `incarnation` of an author of this kind.
    #[must_use]
    pub fn of(kind: Kind, agent: AgentId, incarnation: u64) -> Self {
        Self { agent, incarnation, kind }
    }

    /// What kind of author it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Which of its lives.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.agent, self.incarnation)
    }
}
