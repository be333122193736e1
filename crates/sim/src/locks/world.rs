//! Time, chance and the network.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::Client;
use super::server::{Command, Holder, Reply, Server};
use super::wgl::{Operation, What, is_linearizable};
use super::{Fencing, N_SECTIONS, Outcome, Violation};
use crate::rng::Rng;

const N_CLIENTS: u8 = 3;

/// What each client does, once or more often after crashes.
const N_ROUNDS: u32 = 4;

#[derive(Debug, Clone)]
enum Happening {
    Arrives(Holder, Command),
    Answered(Holder, Reply),
    Wakes {
        client: u8,
        timer: u32,
    },
    Crashes {
        client: u8,
    },
    /// Somebody noticed that a life has ended.
    Gone(Holder),
    Restart,
    Pause(bool),
    Force(u8),
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Duration,
    pub(super) server: Server,
    to_come: BTreeMap<(Duration, u32), Happening>,
    histories: [Vec<Operation>; N_SECTIONS as usize],
    last_moment: u32,
    last_fresh: u32,
}

/// One world, to its end; all of it follows from `seed`.
#[must_use]
pub fn run(seed: u64, fencing: Fencing) -> Outcome {
    let mut world = World {
        rng: Rng::new(seed),
        now: Duration::ZERO,
        server: Server::new(fencing),
        to_come: BTreeMap::new(),
        histories: Default::default(),
        last_moment: 0,
        last_fresh: 0,
    };
    let mut clients: Vec<Client> = (0..N_CLIENTS).map(|id| Client::new(id, N_ROUNDS)).collect();
    for client in &mut clients {
        let ms = world.rng.below(200);
        world.wake_later(client.holder().0, 0, ms);
    }
    world.plan_trouble();
    while let Some((&(at, number), _)) = world.to_come.first_key_value() {
        if let Some(due) = world.server.next_deadline().filter(|due| *due <= at) {
            world.now = world.now.max(due);
            world.server.expire(world.now);
        } else if let Some(happening) = world.to_come.remove(&(at, number)) {
            world.now = at;
            world.happen(happening, &mut clients);
        }
        for (to, reply) in world.server.take_replies() {
            world.transport(Happening::Answered(to, reply));
        }
    }
    world.judge()
}

impl World {
    fn plan_trouble(&mut self) {
        for _ in 0..self.rng.below(3) {
            let client = if self.rng.chance(50) { 0 } else { 1 + u8::from(self.rng.chance(50)) };
            self.some_time(Happening::Crashes { client });
        }
        if self.rng.chance(50) {
            self.some_time(Happening::Restart);
        }
        if self.rng.chance(30) {
            self.some_time(Happening::Pause(true));
        }
        if self.rng.chance(30) {
            let section = u8::from(self.rng.chance(50));
            self.some_time(Happening::Force(section));
        }
    }

    fn some_time(&mut self, happening: Happening) {
        let ms = self.rng.below(10_000);
        self.later(ms, happening);
    }

    fn happen(&mut self, happening: Happening, clients: &mut [Client]) {
        match happening {
            Happening::Arrives(from, command) => self.server.turn(from, command, self.now),
            Happening::Answered(to, reply) => {
                let client = &mut clients[usize::from(to.0)];
                // A letter to a former life is nobody's.
                if client.holder() == to {
                    client.hear(reply, self);
                }
            }
            Happening::Wakes { client, timer } => {
                let client = &mut clients[usize::from(client)];
                if client.timer == timer {
                    client.wake(self);
                }
            }
            Happening::Crashes { client } => {
                self.server.outcome.crashes += 1;
                let former = clients[usize::from(client)].crash(self);
                // Else the lease must end, or the next life be noticed.
                if self.rng.chance(60) {
                    self.later(20, Happening::Gone(former));
                }
            }
            Happening::Gone(holder) => self.server.gone(holder, self.now),
            Happening::Restart => self.server.restart(self.now),
            Happening::Pause(paused) => {
                self.server.pause(paused, self.now);
                if paused {
                    let ms = 500 + self.rng.below(3_000);
                    self.later(ms, Happening::Pause(false));
                }
            }
            Happening::Force(section) => self.server.force(section, self.now),
        }
    }

    pub(super) fn send(&mut self, from: Holder, command: &Command) {
        self.transport(Happening::Arrives(from, command.clone()));
    }

    /// Late, lost, or twice.
    fn transport(&mut self, message: Happening) {
        if self.rng.chance(4) {
            return;
        }
        let ms = match self.rng.below(100) {
            0..80 => 1 + self.rng.below(20),
            80..96 => 20 + self.rng.below(400),
            _ => 1_000 + self.rng.below(4_000),
        };
        if self.rng.chance(12) {
            self.server.outcome.duplicates += 1;
            let behind = self.rng.below(3_000);
            self.later(ms + behind, message.clone());
        }
        self.later(ms, message);
    }

    pub(super) fn wake_later(&mut self, client: u8, timer: u32, ms: usize) {
        self.later(ms, Happening::Wakes { client, timer });
    }

    fn later(&mut self, ms: usize, happening: Happening) {
        let at = self.now + Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
        let number = self.fresh();
        self.to_come.insert((at, number), happening);
    }

    /// Not a message: the runtime runs the client's handler and knows.
    pub(super) fn protect(&mut self, holder: Holder, protected: bool) {
        self.server.protect(holder, protected, self.now);
    }

    /// A number that nothing else in this world has.
    pub(super) fn fresh(&mut self) -> u32 {
        self.last_fresh += 1;
        self.last_fresh
    }

    /// The next moment of the order in which things are seen.
    pub(super) fn moment(&mut self) -> u32 {
        self.last_moment += 1;
        self.last_moment
    }

    pub(super) fn record(&mut self, section: u8, operation: Operation) {
        self.histories[usize::from(section)].push(operation);
    }

    /// Reads each section once more, and judges.
    fn judge(mut self) -> Outcome {
        for section in 0..N_SECTIONS {
            let (invoked, saw) = (self.moment(), self.server.register(section));
            self.returned(section, invoked, What::Read { saw });
        }
        let mut violation = self.server.outcome.violation.take();
        for (section, mut history) in (0..N_SECTIONS).zip(std::mem::take(&mut self.histories)) {
            if violation.is_none() && !is_linearizable(&history) {
                history.sort_by_key(|operation| operation.invoked);
                violation = Some(Violation::NotLinearizable { section, history });
            }
        }
        if !self.server.is_free_in_the_end(self.now) {
            violation.get_or_insert(Violation::StillLocked);
        }
        Outcome { violation, ..self.server.outcome }
    }
}
