//! The handle of a store.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use ggml_agent_core::store::{Answer, Found, Level, Read, Store, StoreError, Write, Written};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::OpenError;
use crate::open;
use crate::options::Options;
use crate::queue::Waiting;
use crate::writer::{Command, Writer};

/// A store in a folder, kept by SQLite. Cheap to clone; all clones are one store.
///
/// Its thread ends when the last handle is dropped, after what was begun is done; dropping the last one
/// waits for that.
///
/// # Example
/// ```
/// use ggml_agent_core::store::{Bounds, Open, StoreRef};
/// use ggml_agent_store::{Options, Sqlite};
/// # let folder = std::env::temp_dir().join(format!("ggml-agent-store-doc-{}", std::process::id()));
/// # let options = Options { medium: ggml_agent_store::Medium::Any, ..Options::DEFAULT };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = StoreRef::new(Sqlite::open(&folder, options)?);
/// let open = Open { agent: "writer".parse()?, bounds: Bounds::DEFAULT, in_hand: None };
/// assert_eq!(store.open(open).await?.epoch.0, 1);
/// # drop(store);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` while it is dropped.
    commands: Option<Sender<Command>>,
    waiting: Arc<Waiting>,
    options: Options,
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens the store in `folder`, which is made if it is not there.
    ///
    /// It blocks: a log that a crash left is brought into the file, and the file's pages are checked
    /// (see [`Options::check_bytes_max`]).
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way and what to do. Nothing was changed then.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let folder = folder.as_ref().to_path_buf();
        let lock = open::claim(&folder, &options)?;
        let engine = Some(open::open_or_create(&folder, &options)?);
        let waiting = Arc::new(Waiting::default());
        let (commands, receiver) = mpsc::channel();
        let writer = Writer {
            folder,
            options: options.clone(),
            waiting: Arc::clone(&waiting),
            engine,
            lock,
        };
        let thread = thread::Builder::new()
            .name("ggml-agent-store".into())
            .spawn(move || writer.run(&receiver))
            .map_err(OpenError::Thread)?;
        let shared = Shared {
            commands: Some(commands),
            waiting,
            options,
            is_closed: Arc::default(),
            thread: Some(thread),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Closes it for all handles, after what was begun. What comes later gets [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] when the log could not be brought into the file; nothing is lost, it is done when
    /// the store is opened again.
    ///
    /// # Cancel safety
    /// The call alone closes it; the answer says when that is done.
    pub fn close(&self) -> Answer<()> {
        let closed = self.ask(Command::Close);
        self.shared.is_closed.store(true, Ordering::Release);
        closed
    }

    /// Runs `work` between two transactions.
    pub(crate) fn operate<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        self.ask(|answer| {
            Command::Operate(Box::new(move |engine| {
                // Whoever does not wait for it does not want to know.
                drop(answer.send(engine.and_then(work)));
            }))
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        if let Err(error) = self.shared.send(command(sender)) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let is_closed = Arc::clone(&self.shared.is_closed);
        Box::pin(async move {
            receiver.await.unwrap_or_else(|_| {
                // What came behind the closing was never looked at.
                if is_closed.load(Ordering::Acquire) {
                    return Err(StoreError::Closed);
                }
                let why = "the thread of the store has ended".into();
                Err(StoreError::Indeterminate { why })
            })
        })
    }
}

impl Store for Sqlite {
    fn level(&self) -> Level {
        Level::Durable
    }

    fn write(&self, write: Write) -> Answer<Written> {
        self.ask(|answer| Command::Write(write, answer))
    }

    fn read(&self, read: Read) -> Answer<Found> {
        self.ask(|answer| Command::Read(read, answer))
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

impl Shared {
    fn send(&self, command: Command) -> Result<(), StoreError> {
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        if self.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        self.waiting.came(&command, &self.options).map_err(|(len, bytes)| {
            let why = format!("{len} operations, {bytes} bytes, wait for it already");
            StoreError::Unavailable { why }
        })?;
        commands.send(command).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.commands = None;
        // The last handle may go with an answer that the thread itself drops.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            // It has panicked, and the panic hook has said so.
        }
    }
}

#[cfg(test)]
mod tests;
