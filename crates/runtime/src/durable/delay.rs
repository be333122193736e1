//! What everybody should hear of a store that cannot keep anything.

use std::any::Any;
use std::fmt;

use ggml_agent_core::AgentId;
use ggml_agent_core::store::StoreError;

use crate::observe::CustomEvent;
use crate::system::SystemRef;

/// The store could not keep what an agent did: the agent waits with it and tries again. Told once per bad
/// spell, by whoever keeps something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreDelay {
    /// Who waits.
    pub agent: AgentId,
    /// For what.
    pub error: StoreError,
}

/// Tells of delays, once per bad spell.
#[derive(Debug, Default)]
pub struct DelayTeller {
    is_told: bool,
}

impl DelayTeller {
    /// Something was kept: the next delay is another one.
    pub fn kept(&mut self) {
        self.is_told = false;
    }

    /// Something could not be kept.
    pub fn delayed(&mut self, system: &SystemRef, agent: &AgentId, error: &StoreError) {
        if !std::mem::replace(&mut self.is_told, true) {
            system.publish(StoreDelay { agent: agent.clone(), error: error.clone() });
        }
    }
}

impl fmt::Display for StoreDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for the store: {}", self.agent, self.error)
    }
}

impl CustomEvent for StoreDelay {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "store.delayed"
    }
}
