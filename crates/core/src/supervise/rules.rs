//! The part of a child's spec that many children have in common, kept once.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::spec::{ChildKind, ChildSpec, Restart, Shutdown};
use crate::AgentId;

/// A [`ChildSpec`] without its id.
#[derive(Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) kind: ChildKind,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
    pub(super) significant: bool,
    pub(super) backoff: Option<Arc<Backoff>>,
    pub(super) heartbeat_timeout: Option<Duration>,
}

impl Rules {
    /// The two parts of a spec.
    pub(super) fn split(spec: ChildSpec) -> (AgentId, Self) {
        let ChildSpec { id, kind, restart, shutdown, significant, backoff, heartbeat_timeout } =
            spec;
        (id, Self { kind, restart, shutdown, significant, backoff, heartbeat_timeout })
    }

    /// The spec of a child with these rules.
    pub(super) fn with_id(&self, id: AgentId) -> ChildSpec {
        let Self { kind, restart, shutdown, significant, ref backoff, heartbeat_timeout } = *self;
        let backoff = backoff.clone();
        ChildSpec { id, kind, restart, shutdown, significant, backoff, heartbeat_timeout }
    }
}

/// The kinds of children that came last, so that the next one of a kind shares its rules.
#[derive(Debug, Default)]
pub(super) struct RecentRules {
    /// The last one first.
    recent: Vec<Arc<Rules>>,
}

/// Kinds that are remembered: a crowd has one or two, a team has as many as it has members.
const RECENT_MAX: usize = 8;

impl RecentRules {
    /// These rules, shared with an earlier child that has the same if it was not long ago.
    pub(super) fn share(&mut self, rules: Rules) -> Arc<Rules> {
        match self.recent.iter().position(|known| **known == rules) {
            Some(0) => {}
            Some(at) => self.recent[..=at].rotate_right(1),
            None => {
                self.recent.truncate(RECENT_MAX - 1);
                self.recent.insert(0, Arc::new(rules));
            }
        }
        self.recent[0].clone()
    }
}
