//! Files: read whole, written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ggml_agent_doc::Document;

use crate::failure::{Code, Failure};

/// A document that was read, and the bytes that it was read from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) document: Document,
}

/// Reads a Markdown document.
pub(crate) fn read(path: &Path) -> Result<Source, Failure> {
    let shown = path.display();
    let bytes =
        fs::read(path).with_context(|| format!("cannot read {shown}")).map_err(|error| {
            Failure::from(error)
                .next("check the path; `ggml-agent demo` alone uses a built-in text")
        })?;
    let document = Document::from_bytes(&bytes)
        .with_context(|| format!("{shown} is not a document that can be worked on"))
        .map_err(|error| Failure::from(error).next("nothing was written"))?;
    Ok(Source { path: path.to_owned(), bytes, document })
}

/// What may happen to a file that is there already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Existing<'a> {
    /// It is kept, and the write refused.
    Keep,
    /// It is replaced.
    Replace,
    /// It is replaced if it still has these bytes.
    ReplaceIf(&'a [u8]),
}

/// Where a result goes; checked before the work, so that nobody works for nothing.
pub(crate) fn check(
    out: &Path,
    input: Option<&Path>,
    existing: Existing<'_>,
) -> Result<(), Failure> {
    let shown = out.display();
    if let Existing::Keep | Existing::Replace = existing
        && input.is_some_and(|input| is_same(input, out))
    {
        let text = format!("{shown} is the document itself");
        return Err(Failure::msg(Code::Conflict, text)
            .next("choose another --out, or use --in-place to replace the document"));
    }
    match fs::metadata(out) {
        Ok(meta) if !meta.is_file() => {
            let text = format!("{shown} is not a regular file");
            Err(Failure::msg(Code::Failure, text).next("choose another --out"))
        }
        Ok(_) if matches!(existing, Existing::Keep) => Err(exists(out)),
        Ok(_) => Ok(()),
        Err(_) => match folder(out).metadata() {
            Ok(meta) if meta.is_dir() => Ok(()),
            _ => {
                let text = format!("there is no folder {}", folder(out).display());
                Err(Failure::msg(Code::Failure, text).next("create it, or choose another --out"))
            }
        },
    }
}

/// Writes a file whole or not at all: beside the target, synced, then renamed onto it.
pub(crate) fn write(out: &Path, bytes: &[u8], existing: Existing<'_>) -> Result<(), Failure> {
    // The file that a link names, not the link, is what is replaced.
    let target = fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    let folder = folder(&target);
    let cannot = || format!("cannot write {}", out.display());
    let mut builder = tempfile::Builder::new();
    let permissions = fs::metadata(&target).map(|meta| meta.permissions()).ok();
    let fresh = fresh_permissions();
    if let Some(fresh) = &fresh {
        builder.permissions(fresh.clone());
    }
    let mut file = builder.prefix(".ggml-agent-").tempfile_in(&folder).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions).with_context(cannot)?;
    }
    file.as_file().sync_all().with_context(cannot)?;
    match existing {
        Existing::Keep => match file.persist_noclobber(&target) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(exists(out));
            }
            Err(error) => return Err(anyhow::Error::new(error.error).context(cannot()).into()),
        },
        Existing::Replace => drop(file.persist(&target).with_context(cannot)?),
        Existing::ReplaceIf(expected) => {
            if fs::read(&target).with_context(cannot)? != expected {
                let text = format!("{} was changed by somebody else meanwhile", out.display());
                return Err(Failure::msg(Code::Conflict, text)
                    .next("nothing was written: run the same command again"));
            }
            drop(file.persist(&target).with_context(cannot)?);
        }
    }
    sync_folder(&folder).with_context(cannot)?;
    Ok(())
}

fn exists(out: &Path) -> Failure {
    let text = format!("{} exists already", out.display());
    Failure::msg(Code::Conflict, text).next("choose another --out, or add --force to replace it")
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths name one file, also by way of links.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// What a new file may be used for by others, before the user's mask: as any program's file.
fn fresh_permissions() -> Option<Permissions> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Some(Permissions::from_mode(0o666))
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// Makes the rename itself survive a power cut.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
