//! The thread that owns the store: it takes what waits, carries it out in one transaction, and answers
//! when that has reached the device.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::store::{Found, Read, StoreError, Write, Written};
use tokio::sync::oneshot::Sender;

use crate::engine::Engine;
use crate::error::{Fault, code_of, is_device_error};
use crate::lock::Lock;
use crate::open;
use crate::options::Options;
use crate::queue::Waiting;

/// Most writes and reads of one transaction.
// Measured: beyond some 256 the flush is no longer what a write costs.
const BATCH_LEN_MAX: usize = 1024;

/// Most bytes of one transaction.
// A flush of 8 MiB takes some 10 ms; who waits behind it waits for two.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a transaction waits for others to join, if more came together the last time.
// Those that were just answered need some 20 us to be back; a flush costs ten times as much.
const GATHER: Duration = Duration::from_micros(100);

pub(crate) type Operation = Box<dyn FnOnce(Result<&mut Engine, StoreError>) + Send>;

pub(crate) enum Command {
    Write(Write, Sender<Result<Written, StoreError>>),
    Read(Read, Sender<Result<Found, StoreError>>),
    /// An operator's, between two transactions.
    Operate(Operation),
    /// The last one.
    Close(Sender<Result<(), StoreError>>),
}

pub(crate) struct Writer {
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    pub(crate) waiting: Arc<Waiting>,
    /// `None` after the device failed, until it was opened again.
    pub(crate) engine: Option<Engine>,
    /// Given back when all is written.
    #[expect(dead_code, reason = "held until the thread ends")]
    pub(crate) lock: Lock,
}

/// Why a transaction failed.
enum Failed {
    /// Before its commit: nothing was changed.
    Before(Fault),
    /// In its commit: it may have happened or not.
    Commit(rusqlite::Error),
}

enum Done {
    Written(Result<Written, StoreError>),
    Found(Result<Found, StoreError>),
}

impl Writer {
    /// Until all handles are gone, or one closes the store.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
        let mut len_before = 0;
        while let Ok(first) = commands.recv() {
            let last = gather(&mut batch, first, commands, len_before);
            self.waiting.left(&batch, last.as_ref());
            if !batch.is_empty() {
                len_before = batch.len();
                self.transact(&mut batch);
            }
            match last {
                None => {}
                Some(Command::Close(answer)) => {
                    let closed = self.close();
                    drop(self);
                    // Whoever does not wait for it does not want to know.
                    drop(answer.send(closed));
                    return;
                }
                Some(Command::Operate(operate)) => {
                    operate(self.engine().map_err(Fault::into_error));
                    if self.engine.as_ref().is_some_and(|engine| engine.is_doubtful) {
                        self.engine = None;
                    }
                }
                Some(Command::Write(..) | Command::Read(..)) => {
                    unreachable!("invariant: they belong to the batch")
                }
            }
        }
        if self.close().is_err() {
            // Nobody is left to hear it; what was answered is in the log.
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        match self.engine.take() {
            None => Ok(()),
            Some(engine) => open::checkpoint(&engine.conn).map_err(Fault::into_error),
        }
    }

    /// The store, opened again and checked if it had to be given up.
    fn engine(&mut self) -> Result<&mut Engine, Fault> {
        if self.engine.is_none() {
            let opened = open::open(&self.folder, &self.options);
            self.engine = Some(opened.map_err(|error| {
                Fault::Refused(StoreError::Unavailable { why: error.to_string() })
            })?);
        }
        Ok(self.engine.as_mut().expect("invariant: opened"))
    }

    fn transact(&mut self, batch: &mut Vec<Command>) {
        match self.attempt(batch) {
            Ok(done) => answer(batch, done),
            // One of them met damage. Each by itself, it harms nobody else.
            Err(Failed::Before(fault)) if fault.is_damage() && batch.len() > 1 => {
                for command in batch.drain(..) {
                    self.transact(&mut vec![command]);
                }
            }
            Err(Failed::Before(fault)) => {
                if let (true, Some(name)) = (fault.is_damage(), subject(batch.first())) {
                    return self.set_aside(batch, &name, fault);
                }
                refuse(batch, &fault.into_error());
            }
            Err(Failed::Commit(error)) => {
                refuse(batch, &StoreError::Indeterminate { why: error.to_string() });
            }
        }
    }

    fn set_aside(&mut self, batch: &mut Vec<Command>, name: &AgentId, fault: Fault) {
        let (what, why) = fault.into_damage();
        if let Some(engine) = self.engine.as_mut() {
            engine.quarantine(name, format!("{what}: {why}"));
        }
        refuse(
            batch,
            &StoreError::Quarantined {
                what: format!("agent \"{name}\""),
                why: format!("{what}: {why}"),
            },
        );
    }

    /// Carries out a batch in one transaction. When it fails, nothing is left of it, or the store is
    /// given up until it is opened again.
    fn attempt(&mut self, batch: &[Command]) -> Result<Vec<Done>, Failed> {
        let engine = self.engine().map_err(Failed::Before)?;
        let worked = engine.begin().and_then(|()| work(engine, batch));
        let done = match worked {
            Ok(done) => done,
            Err(fault) => {
                let is_usable = engine.roll_back();
                let device_failed = matches!(&fault, Fault::Sql(error) if is_device_error(error));
                if !is_usable || device_failed {
                    self.engine = None;
                }
                return Err(Failed::Before(fault));
            }
        };
        let Err(error) = engine.commit() else { return Ok(done) };
        // A full disk is found when the log is written, before the record that makes it count.
        let is_certain = code_of(&error) == Some(rusqlite::ErrorCode::DiskFull);
        if is_certain && engine.roll_back() {
            return Err(Failed::Before(error.into()));
        }
        self.engine = None;
        Err(Failed::Commit(error))
    }
}

/// Takes what waits, up to the bounds of a transaction. What cannot be part of one ends it and is
/// returned.
fn gather(
    batch: &mut Vec<Command>,
    first: Command,
    commands: &Receiver<Command>,
    len_before: usize,
) -> Option<Command> {
    batch.clear();
    let (mut next, mut bytes) = (Some(first), 0);
    loop {
        let command = match next.take() {
            Some(command) => command,
            None => match commands.try_recv() {
                Ok(command) => command,
                // Some of those that were answered last are on their way.
                Err(_) if batch.len() < len_before / 2 => match commands.recv_timeout(GATHER) {
                    Ok(command) => command,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
                },
                Err(_) => return None,
            },
        };
        match command {
            Command::Write(..) | Command::Read(..) => {
                bytes += size_of_command(&command);
                batch.push(command);
                if batch.len() >= BATCH_LEN_MAX || bytes >= BATCH_BYTES_MAX {
                    return None;
                }
            }
            command => return Some(command),
        }
    }
}

fn work(engine: &mut Engine, batch: &[Command]) -> Result<Vec<Done>, Fault> {
    let mut done = Vec::with_capacity(batch.len());
    for command in batch {
        done.push(match command {
            Command::Write(write, _) => Done::Written(sorted(engine.write(write))?),
            Command::Read(read, _) => Done::Found(sorted(engine.read(read))?),
            Command::Operate(_) | Command::Close(_) => {
                unreachable!("invariant: they are not part of a batch")
            }
        });
    }
    engine.flush()?;
    Ok(done)
}

/// What the caller is to blame for is an answer; all else ends the transaction.
fn sorted<T>(result: Result<T, Fault>) -> Result<Result<T, StoreError>, Fault> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(Fault::Refused(error)) => Ok(Err(error)),
        Err(fault) => Err(fault),
    }
}

fn answer(batch: &mut Vec<Command>, done: Vec<Done>) {
    for pair in batch.drain(..).zip(done) {
        // An answer that nobody awaits any more is dropped.
        match pair {
            (Command::Write(_, sender), Done::Written(result)) => drop(sender.send(result)),
            (Command::Read(_, sender), Done::Found(result)) => drop(sender.send(result)),
            _ => unreachable!("invariant: a write was written and a read found something"),
        }
    }
}

fn refuse(batch: &mut Vec<Command>, error: &StoreError) {
    for command in batch.drain(..) {
        match command {
            Command::Write(_, sender) => drop(sender.send(Err(error.clone()))),
            Command::Read(_, sender) => drop(sender.send(Err(error.clone()))),
            Command::Operate(_) | Command::Close(_) => {}
        }
    }
}

/// The agent that an operation is about.
fn subject(command: Option<&Command>) -> Option<AgentId> {
    match command? {
        Command::Write(write, _) => match write {
            Write::Open(open) => Some(open.agent.clone()),
            Write::Append(envelope) => Some(envelope.to.clone()),
            Write::AppendAll(envelopes) => envelopes.first().map(|first| first.to.clone()),
            Write::Commit(commit) => Some(commit.agent.clone()),
            Write::Close { agent, .. } | Write::Remove { agent } => Some(agent.clone()),
            Write::Resend { .. } | Write::Discard { .. } => None,
        },
        Command::Read(read, _) => match read {
            Read::Messages { mailbox: agent, .. } | Read::Journal { agent, .. } => {
                Some(agent.clone())
            }
            Read::DeadLetters { .. } | Read::Agents { .. } => None,
        },
        Command::Operate(_) | Command::Close(_) => None,
    }
}

/// About how much of it is in memory and goes to the disk.
pub(crate) fn size_of_command(command: &Command) -> usize {
    // An envelope without its payload, and the rest of the command.
    const BARE: usize = 400;
    let Command::Write(write, _) = command else { return BARE };
    let contents = match write {
        Write::Append(envelope) => envelope.payload.len(),
        Write::AppendAll(envelopes) => {
            envelopes.iter().map(|envelope| BARE + envelope.payload.len()).sum()
        }
        Write::Commit(commit) => {
            let envelopes =
                commit.outbox.iter().chain(commit.set.iter().map(|timer| &timer.envelope));
            commit.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes.len())
                + commit.journal.iter().map(|entry| BARE + entry.len()).sum::<usize>()
                + envelopes.map(|envelope| BARE + envelope.payload.len()).sum::<usize>()
                + commit.once.iter().map(|once| BARE + once.result.len()).sum::<usize>()
        }
        _ => 0,
    };
    BARE + contents
}
