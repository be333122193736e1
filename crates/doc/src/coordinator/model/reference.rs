//! What a document is, said as simply as it can be: vectors, and a look at all of them each time.

use super::Answer::{self, Denied, Done, Granted, Queued, Refused};

/// An agent and its incarnation.
pub(super) type Who = (usize, u64);

pub(super) struct Held {
    pub(super) who: Who,
    pub(super) token: u64,
    pub(super) end: u64,
    last_end: u64,
}

#[derive(Clone)]
struct Wait {
    who: Who,
    wants: Vec<usize>,
    lease: u64,
    until: u64,
}

pub(super) struct Reference {
    pub(super) texts: Vec<(u64, String)>,
    pub(super) held: Vec<Option<Held>>,
    waits: Vec<Wait>,
    token: u64,
    pub(super) seq: u64,
    alive_from: Vec<Option<u64>>,
}

impl Reference {
    pub(super) fn new(texts: Vec<(u64, String)>, n_agents: usize) -> Self {
        let held = texts.iter().map(|_| None).collect();
        Self { texts, held, waits: Vec::new(), token: 0, seq: 0, alive_from: vec![None; n_agents] }
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.sweep(now);
        self.serve(now);
    }

    fn sweep(&mut self, now: u64) {
        self.waits.retain(|wait| now < wait.until);
        self.end(|held| held.end <= now);
    }

    fn end(&mut self, is_over: impl Fn(&Held) -> bool) {
        for held in &mut self.held {
            held.take_if(|held| is_over(held));
        }
    }

    /// Whoever can have all it wants, and takes it from nobody who came earlier, gets it.
    fn serve(&mut self, now: u64) {
        let mut promised: Vec<usize> = Vec::new();
        for wait in self.waits.clone() {
            if wait.wants.iter().all(|s| self.held[*s].is_none() && !promised.contains(s)) {
                self.waits.retain(|other| other.who != wait.who);
                self.grant(wait.who, &wait.wants, wait.lease, now);
            } else {
                promised.extend(&wait.wants);
            }
        }
    }

    fn grant(&mut self, who: Who, wants: &[usize], lease: u64, now: u64) -> Answer {
        let mut grants = Vec::new();
        for s in wants {
            let held = self.held[*s].get_or_insert_with(|| {
                self.token += 1;
                Held { who, token: self.token, end: now, last_end: now + 300 }
            });
            held.end = held.end.max((now + lease).min(held.last_end));
            grants.push((*s, held.token, held.end));
        }
        Granted(grants)
    }

    fn is_alive(&mut self, (agent, life): Who, now: u64) -> bool {
        if self.alive_from[agent] < Some(life) {
            self.end_lives_before((agent, life), now);
        }
        self.alive_from[agent] == Some(life)
    }

    pub(super) fn end_lives_before(&mut self, (agent, life): Who, now: u64) {
        self.alive_from[agent] = self.alive_from[agent].max(Some(life));
        let is_over = |who: Who| who.0 == agent && who.1 < life;
        self.waits.retain(|wait| !is_over(wait.who));
        self.end(|held| is_over(held.who));
        self.expire(now);
    }

    pub(super) fn lock(
        &mut self,
        (who, now): (Who, u64),
        wants: Vec<usize>,
        (lease, until): (u64, Option<u64>),
    ) -> Answer {
        if !self.is_alive(who, now) {
            return Refused("gone");
        }
        self.expire(now);
        if let Some(at) = self.waits.iter().position(|wait| wait.who == who) {
            let same = self.waits[at].wants == wants;
            return if same { Queued(self.position(at)) } else { Refused("waits already") };
        }
        let blocker = |s: &usize| match &self.held[*s] {
            Some(held) => (held.who != who).then_some((*s, held.who)),
            None => self.waits.iter().find(|w| w.wants.contains(s)).map(|w| (*s, w.who)),
        };
        let Some((section, by)) = wants.iter().find_map(blocker) else {
            return self.grant(who, &wants, lease, now);
        };
        match until.filter(|until| now < *until) {
            None => Denied(section, by),
            Some(_) if self.held.iter().flatten().any(|h| h.who == who) => Refused("holds"),
            Some(until) => {
                self.waits.push(Wait { who, wants, lease, until });
                Queued(self.position(self.waits.len() - 1))
            }
        }
    }

    fn position(&self, at: usize) -> usize {
        let ahead = |s: &usize| self.waits[..at].iter().filter(|w| w.wants.contains(s)).count();
        1 + self.waits[at].wants.iter().map(ahead).max().unwrap()
    }

    fn owns(&self, who: Who, s: usize, token: u64) -> bool {
        self.held[s].as_ref().is_some_and(|held| (held.who, held.token) == (who, token))
    }

    pub(super) fn release(&mut self, who: Who, s: usize, token: u64, now: u64) -> Answer {
        self.sweep(now);
        let owns = self.owns(who, s, token);
        self.held[s].take_if(|_| owns);
        self.serve(now);
        if owns { Done(0, 0) } else { Refused("stale") }
    }

    pub(super) fn renew(&mut self, who: Who, s: usize, token: u64, lease: u64, now: u64) -> Answer {
        self.expire(now);
        if self.owns(who, s, token) { self.grant(who, &[s], lease, now) } else { Refused("stale") }
    }

    pub(super) fn edit(
        &mut self,
        (who, s, now): (Who, usize, u64),
        (token, base): (Option<u64>, Option<u64>),
        change: impl FnOnce(&mut String),
    ) -> Answer {
        if !self.is_alive(who, now) {
            return Refused("gone");
        }
        self.expire(now);
        let (version, is_locked) = (self.texts[s].0, self.held[s].is_some());
        match (token, base) {
            (Some(token), _) if !self.owns(who, s, token) => return Refused("stale"),
            (None, _) if is_locked => return Refused("locked"),
            (_, Some(base)) if base != version => return Refused("outdated"),
            (None, None) => return Refused("no token and no base"),
            _ => {}
        }
        let (version, text) = &mut self.texts[s];
        change(text);
        *version += 1;
        self.seq += 1;
        Done(self.seq, *version)
    }
}
