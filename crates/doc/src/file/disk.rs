//! A file, looked at, read, and replaced as a whole. Blocking; decides nothing.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::rule::Fingerprint;
use crate::coordinator::BaseText;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::section::LoadError;

/// Most links that a name may go through.
// As Linux has it.
const LINKS_MAX: usize = 40;

/// Most files with what was not taken that may lie beside a file.
pub const CONFLICTS_MAX: u32 = 1_000;

/// Why a file is left alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// It is a folder, a device or a pipe.
    #[error("it is not a regular file; name another one")]
    NotAFile,
    /// It cannot be a document.
    #[error("it cannot be a document")]
    NotADocument(#[from] LoadError),
    /// It cannot be read or written: no permission, no room, a bad disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There are [`CONFLICTS_MAX`] files with what was not taken.
    #[error("{CONFLICTS_MAX} files with conflicts lie beside it; work them off, and delete them")]
    TooManyConflicts,
    /// The document did not answer.
    #[error("the document does not answer")]
    NoDocument,
}

/// What was found.
pub(super) enum Found {
    Text(String, Fingerprint),
    /// It changed while it was read, or is gone.
    Elusive,
    Fault(Option<Fingerprint>, FileFault),
}

/// What became of a write.
pub(super) enum Written {
    Done(Fingerprint),
    /// It is not what it was; or there is none, or there is one.
    Outside,
}

/// What the file is, without reading it; `None` if there is none.
pub(super) fn look(path: &Path) -> Result<Option<Fingerprint>, FileFault> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(fingerprint(&metadata))),
        Ok(_) => Err(FileFault::NotAFile),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn read(path: &Path) -> Found {
    // Before it is opened: to open a pipe would wait for somebody who writes to it.
    let before = match look(path) {
        Ok(Some(before)) => before,
        Ok(None) => return Found::Elusive,
        Err(fault) => return Found::Fault(None, fault),
    };
    match bytes(path) {
        Ok((bytes, after)) if after == before => match text(bytes) {
            Ok(text) => Found::Text(text, before),
            Err(error) => Found::Fault(Some(before), error.into()),
        },
        Ok(_) => Found::Elusive,
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Elusive,
        Err(error) => Found::Fault(Some(before), error.into()),
    }
}

/// At most one byte more than a document may have.
fn bytes(path: &Path) -> io::Result<(Vec<u8>, Fingerprint)> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    (&file).take(most).read_to_end(&mut bytes)?;
    Ok((bytes, fingerprint(&file.metadata()?)))
}

fn text(bytes: Vec<u8>) -> Result<String, LoadError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(LoadError::TooLarge { len: bytes.len() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        LoadError::NotUtf8 { at, line: 1 + memchr::memchr_iter(b'\n', before).count() }
    })
}

/// Makes the file `new`, if it is `known` or, where `may_create` says so, if there is none. Whatever happens, the
/// file is whole: the old one or the new one.
///
/// Who changes the file between the last look and the renaming, which is some microseconds, is not seen.
pub(super) fn write(
    path: &Path,
    known: &BaseText,
    new: &str,
    may_create: bool,
) -> Result<Written, FileFault> {
    let target = target(path)?;
    let before = match read(&target) {
        Found::Text(text, before) if known.is(&text) => {
            if text == new {
                return Ok(Written::Done(before));
            }
            Some(before)
        }
        Found::Text(..) => return Ok(Written::Outside),
        // What cannot be read is told by the next poll.
        Found::Fault(..) => return Ok(Written::Outside),
        Found::Elusive if look(&target)?.is_none() && may_create => None,
        Found::Elusive => return Ok(Written::Outside),
    };
    let temp = temp(&target);
    let replaced = fill(&temp, new, before.is_some().then_some(&*target))
        .and_then(|()| replace(&temp, &target, before));
    if !matches!(replaced, Ok(true)) {
        // It may not have come to be, or be gone; what is left of it is taken away at the next start.
        drop(fs::remove_file(&temp));
    }
    if !replaced? {
        return Ok(Written::Outside);
    }
    sync_folder(&target)?;
    // A file that is gone again already is found so by the next poll.
    Ok(look(&target)?.map_or(Written::Outside, Written::Done))
}

/// A new file with this text, on the disk, with the permissions of `like`.
fn fill(temp: &Path, text: &str, like: Option<&Path>) -> io::Result<()> {
    let mut file = match create(temp, like.is_some()) {
        // Left by a process that was killed.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(temp)?;
            create(temp, like.is_some())?
        }
        created => created?,
    };
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        file.set_permissions(fs::metadata(like)?.permissions())?;
    }
    file.sync_all()
}

fn create(path: &Path, is_private: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        // Nobody may read what the file does not let him read.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = is_private;
    options.open(path)
}

/// Puts `temp` in the place of `target`; false if that is not what it was.
fn replace(temp: &Path, target: &Path, before: Option<Fingerprint>) -> io::Result<bool> {
    let Some(before) = before else {
        // A link is not made over a file that has come meanwhile.
        return match fs::hard_link(temp, target) {
            Ok(()) => fs::remove_file(temp).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // The file system has no links.
            Err(_) => fs::rename(temp, target).map(|()| true),
        };
    };
    match fs::metadata(target) {
        Ok(now) if fingerprint(&now) == before => fs::rename(temp, target).map(|()| true),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Saves `text` beside the file under the first free name; nothing is overwritten.
pub(super) fn save_beside(path: &Path, text: &str) -> Result<PathBuf, FileFault> {
    let target = target(path)?;
    for n in 1..=CONFLICTS_MAX {
        let beside = beside(&target, n);
        let mut file = match create(&beside, false) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        let filled = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = filled {
            drop(fs::remove_file(&beside));
            return Err(error.into());
        }
        sync_folder(&target)?;
        return Ok(beside);
    }
    Err(FileFault::TooManyConflicts)
}

/// `plan.md` has `plan.conflict-1.md` beside it.
fn beside(target: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(target.file_stem().unwrap_or_default());
    name.push(format!(".conflict-{n}.md"));
    target.with_file_name(name)
}

/// Takes away what a process left that was killed while it wrote.
pub(super) fn clean_up(path: &Path) -> Result<(), FileFault> {
    match fs::remove_file(temp(&target(path)?)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// In the same folder, since only there renaming replaces a file as a whole.
fn temp(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".ggml-agent-new");
    target.with_file_name(name)
}

/// The file that a link means, which may not exist: a link stays a link.
fn target(path: &Path) -> Result<PathBuf, FileFault> {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&target) {
            Ok(link) => target = target.parent().unwrap_or(Path::new("")).join(link),
            // It is none, or there is nothing.
            Err(_) => return Ok(target),
        }
    }
    Err(FileFault::NotAFile)
}

/// A name is on the disk when its folder is.
fn sync_folder(target: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn fingerprint(metadata: &Metadata) -> Fingerprint {
    let nanos = |time: io::Result<std::time::SystemTime>| {
        let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0))
    };
    #[cfg(unix)]
    let (changed, inode) = {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
        (nanos, metadata.ino())
    };
    #[cfg(not(unix))]
    let (changed, inode) = (0, 0);
    Fingerprint { len: metadata.len(), modified: nanos(metadata.modified()), changed, inode }
}
