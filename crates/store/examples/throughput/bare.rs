//! Bare SQLite with the same thread, the same settings and the same group commit: one table of rows.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Failure;

type Row = (Vec<u8>, oneshot::Sender<()>);

#[derive(Clone)]
pub(crate) struct Bare(Sender<Row>);

impl Bare {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let conn = Connection::open(path)?;
        conn.execute_batch(
            "PRAGMA locking_mode = exclusive; PRAGMA journal_mode = wal; PRAGMA synchronous = full;
             PRAGMA fullfsync = 1; PRAGMA wal_autocheckpoint = 4096; PRAGMA cache_size = -65536;
             CREATE TABLE rows (number INTEGER PRIMARY KEY, row BLOB NOT NULL) STRICT",
        )?;
        let (sender, receiver) = channel();
        std::thread::spawn(move || run(&conn, &receiver).expect("the disk works"));
        Ok(Self(sender))
    }

    pub(crate) fn insert(&self, row: Vec<u8>) -> impl Future<Output = Result<(), Failure>> + use<> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.0.send((row, sender));
        async move {
            sent?;
            Ok(receiver.await?)
        }
    }
}

fn run(conn: &Connection, rows: &Receiver<Row>) -> rusqlite::Result<()> {
    let mut len_before = 0;
    let mut answers = Vec::new();
    while let Ok(first) = rows.recv() {
        let mut next = Some(first);
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        while let Some((row, answer)) = next.take() {
            conn.prepare_cached("INSERT INTO rows (row) VALUES (?1)")?.execute([row])?;
            answers.push(answer);
            next = match rows.try_recv() {
                _ if answers.len() >= 1024 => None,
                Ok(row) => Some(row),
                Err(_) if answers.len() < len_before / 2 => {
                    rows.recv_timeout(Duration::from_micros(100)).ok()
                }
                Err(_) => None,
            };
        }
        conn.prepare_cached("COMMIT")?.execute([])?;
        len_before = answers.len();
        for answer in answers.drain(..) {
            answer.send(()).ok();
        }
    }
    Ok(())
}
