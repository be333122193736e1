//! One owner: the lock of a store's folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

const FILE: &str = "lock";

/// The lock of a folder, held until it is dropped or the process ends, however that happens.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Takes the lock of `folder` and leaves the id of this process in it.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let cannot_write = |source| OpenError::CannotWrite { path: path.clone(), source };
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(cannot_write)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    path: PathBuf::from(folder),
                    pid: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(cannot_write(source)),
        }
        leave_pid(&mut file).map_err(cannot_write)?;
        Ok(Self(file))
    }
}

/// Who says that it has the lock. It may have it so newly that it did not say so yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn leave_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
