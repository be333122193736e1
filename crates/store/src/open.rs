//! How a store is opened: everything is looked at before anything is changed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::engine::Engine;
use crate::error::{Fault, OpenError, is_corruption};
use crate::heads::Heads;
use crate::lock::Lock;
use crate::options::{Medium, Options};
use crate::schema::{APPLICATION, FORMAT, FORMAT_ELDEST, TABLES};
use crate::{medium, quarantine, wal};

/// The file of a store in its folder. SQLite's log stands beside it.
pub const FILE: &str = "store.db";

/// Where a new file is made before it gets its name.
const FILE_NEW: &str = "store.new";

/// First bytes of each file of SQLite, and where its header has what is ours.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_LEN: usize = 100;
const VERSIONS_AT: usize = 18;
const FORMAT_AT: usize = 60;
const APPLICATION_AT: usize = 68;

/// Pages of the log after which it is brought into the file: 4,096 x 4 KiB = 16 MiB.
const LOG_PAGES: u32 = 4096;

/// Takes the folder's lock, after making the folder if it is not there.
pub(crate) fn claim(folder: &Path, options: &Options) -> Result<Lock, OpenError> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(OpenError::NotAFolder { path: folder.into() }),
        Err(error) if error.kind() == ErrorKind::NotFound => make_folder(folder)?,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(OpenError::NotAFolder { path: folder.into() });
        }
        Err(source) => return Err(OpenError::CannotRead { path: folder.into(), source }),
    }
    if options.medium == Medium::LocalDisk
        && let Some(file_system) = medium::unfit(folder)
    {
        return Err(OpenError::Medium { path: folder.into(), file_system });
    }
    Lock::take(folder)
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    let cannot = |source| OpenError::CannotCreate { path: folder.into(), source };
    // From the innermost that is there on, each new folder's entry in the one above is flushed.
    let missing: Vec<_> = folder.ancestors().take_while(|above| !above.exists()).collect();
    for new in missing.into_iter().rev().filter(|new| !new.as_os_str().is_empty()) {
        fs::create_dir(new).map_err(cannot)?;
        let above = new.parent().filter(|above| !above.as_os_str().is_empty());
        sync_folder(above.unwrap_or(Path::new("."))).map_err(cannot)?;
    }
    Ok(())
}

/// Flushes the entries of a folder.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Opens the store in a folder whose lock is held, or makes it if the folder has none.
pub(crate) fn open_or_create(folder: &Path, options: &Options) -> Result<Engine, OpenError> {
    let path = folder.join(FILE);
    if !path.try_exists().unwrap_or(true) {
        if log_of(folder).exists() {
            let why = "it is gone, and its write-ahead log is there".into();
            return Err(OpenError::Damaged { path, why });
        }
        create(folder, &path)?;
    }
    open(folder, options)
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join(format!("{FILE}-wal"))
}

/// Opens the store in a folder whose lock is held.
pub(crate) fn open(folder: &Path, options: &Options) -> Result<Engine, OpenError> {
    let path = folder.join(FILE);
    check_header(&path)?;
    let log = log_of(folder);
    match wal::damage(&log) {
        Ok(None) => {}
        Ok(Some(why)) => return Err(OpenError::Damaged { path, why }),
        Err(source) => return Err(OpenError::CannotRead { path: log, source }),
    }
    let engine = connect(&path, options).map_err(|fault| named(&path, fault))??;
    let flushed = sync_folder(folder);
    flushed.map_err(|source| OpenError::CannotWrite { path: folder.into(), source })?;
    Ok(engine)
}

/// Makes an empty store under another name: it is there whole or not at all.
fn create(folder: &Path, path: &Path) -> Result<(), OpenError> {
    let new = folder.join(FILE_NEW);
    let cannot_write = |source| OpenError::CannotWrite { path: new.clone(), source };
    // What an earlier attempt left: nobody ever got an answer from it.
    for left in [new.clone(), folder.join(format!("{FILE_NEW}-journal"))] {
        match fs::remove_file(left) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(cannot_write(error)),
            _ => {}
        }
    }
    fill(&new).map_err(|fault| named(&new, fault))?;
    File::open(&new).and_then(|file| file.sync_all()).map_err(cannot_write)?;
    fs::rename(&new, path).map_err(cannot_write)?;
    sync_folder(folder).map_err(cannot_write)
}

fn fill(new: &Path) -> Result<(), Fault> {
    let conn = Connection::open(new)?;
    conn.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; BEGIN")?;
    for table in TABLES {
        conn.execute_batch(table)?;
    }
    Heads::default().save(&conn)?;
    conn.pragma_update(None, "application_id", APPLICATION)?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    conn.execute_batch("COMMIT")?;
    Ok(())
}

/// Looks at the file without SQLite, which would take its locks and its log at once.
fn check_header(path: &Path) -> Result<(), OpenError> {
    let mut header = [0; HEADER_LEN];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let not_a_store = |why| Err(OpenError::NotAStore { path: path.into(), why });
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return not_a_store("it is too short");
        }
        Err(source) => return Err(OpenError::CannotRead { path: path.into(), source }),
    }
    let number = |at: usize| header[at..at + 4].iter().fold(0, |n, b| n << 8 | u32::from(*b));
    if header[..16] != *MAGIC {
        return not_a_store("it does not begin like a file of SQLite");
    }
    if number(APPLICATION_AT) != APPLICATION {
        return not_a_store("another application wrote it");
    }
    // SQLite would open it, but for reading alone.
    let versions = &header[VERSIONS_AT..VERSIONS_AT + 2];
    let is_known = matches!(versions, [1, 1] | [2, 2]);
    match number(FORMAT_AT) {
        FORMAT_ELDEST..=FORMAT if is_known => Ok(()),
        FORMAT_ELDEST..=FORMAT => {
            let why = "its header has versions that are never written".into();
            Err(OpenError::Damaged { path: path.into(), why })
        }
        found if found > FORMAT => {
            Err(OpenError::Newer { path: path.into(), found, known: FORMAT })
        }
        _ => not_a_store("it has no format"),
    }
}

fn connect(path: &Path, options: &Options) -> Result<Result<Engine, OpenError>, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    if conn.is_readonly(rusqlite::MAIN_DB)? {
        let source = ErrorKind::PermissionDenied.into();
        return Ok(Err(OpenError::CannotWrite { path: path.into(), source }));
    }
    // Else a store that is refused below would be changed when it is closed.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_prepared_statement_cache_capacity(128);
    if let Err(error) = settle(&conn, options)? {
        return Ok(Err(error));
    }
    if let Some(why) = damage(&conn, path, options)? {
        return Ok(Err(OpenError::Damaged { path: path.into(), why }));
    }
    let heads = Heads::load(&conn)?;
    let set_aside = quarantine::load(&conn)?;
    // From here on it may get rows that an older program does not know, and which that then refuses by name.
    let format: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format != FORMAT {
        conn.pragma_update(None, "user_version", FORMAT)?;
    }
    // What a crash left in the log need not have reached the device; now it does. After a flush that
    // failed, this writes the pages anew: the ones in the system's cache may count as written.
    checkpoint(&conn)?;
    let path = PathBuf::from(path);
    Ok(Ok(Engine::new(conn, path, options.clone(), heads, set_aside)))
}

/// Brings the log into the file, and empties it.
pub(crate) fn checkpoint(conn: &Connection) -> Result<(), Fault> {
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    Err(rusqlite::Error::SqliteFailure(code, Some("the log is in use".into())).into())
}

/// Sets how SQLite works, and compares what it says that it does.
fn settle(conn: &Connection, options: &Options) -> Result<Result<(), OpenError>, Fault> {
    let page_len: u64 = conn.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?.into();
    let pages_max = options.file_bytes_max.map(|bytes| (bytes / page_len.max(1)).max(1));
    let log_pages = LOG_PAGES.to_string();
    for (name, value) in [
        // One owner: nobody reads or writes beside it, and the index of the log is in memory.
        ("locking_mode", "exclusive"),
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        // Where a flush does not reach the medium by itself (macOS).
        ("fullfsync", "1"),
        ("checkpoint_fullfsync", "1"),
        // A device that fails would be a signal, not an error.
        ("mmap_size", "0"),
        ("cell_size_check", "1"),
        ("trusted_schema", "0"),
        ("cache_size", "-65536"),
        ("temp_store", "2"),
        ("wal_autocheckpoint", log_pages.as_str()),
    ] {
        if let Err(error) = set(conn, name, value)? {
            return Ok(Err(error));
        }
    }
    if let Some(pages_max) = pages_max {
        // SQLite raises it to what the file has, so that its echo may be larger.
        conn.query_row(&format!("PRAGMA max_page_count = {pages_max}"), [], |_| Ok(()))?;
    }
    Ok(Ok(()))
}

fn set(conn: &Connection, name: &'static str, asked: &str) -> Result<Result<(), OpenError>, Fault> {
    conn.pragma_update_and_check(None, name, asked, |_| Ok(())).or_else(none_is_fine)?;
    let found = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get_ref(0).map(as_text));
    let found = found.or_else(|error| none_is_fine(error).map(|()| String::new()))?;
    // Built without memory mapping, SQLite says nothing.
    let is_so = found == asked || (name == "mmap_size" && found.is_empty());
    Ok(if is_so { Ok(()) } else { Err(OpenError::Setting { name, asked: asked.into(), found }) })
}

/// Some settings answer when they are set, others do not.
fn none_is_fine(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(error),
    }
}

fn as_text(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        value => value.as_str().unwrap_or_default().to_owned(),
    }
}

/// What is wrong with the tables or the pages, if something is.
fn damage(conn: &Connection, path: &Path, options: &Options) -> Result<Option<String>, Fault> {
    let mut select = conn.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid")?;
    let tables = select.query_map([], |row| row.get::<_, String>(0))?;
    if !tables.collect::<Result<Vec<_>, _>>()?.iter().eq(&TABLES) {
        return Ok(Some(format!("its tables are not those of format {FORMAT}")));
    }
    let format: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if !(FORMAT_ELDEST..=FORMAT).contains(&format) {
        return Ok(Some(format!("its log says that its format is {format}")));
    }
    let len = fs::metadata(path).map_or(0, |found| found.len());
    if len > options.check_bytes_max {
        return Ok(None);
    }
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

fn named(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_path_buf();
    match fault {
        Fault::Sql(error) if !is_corruption(&error) => {
            OpenError::Sqlite { path, why: error.to_string() }
        }
        fault => {
            let (what, why) = fault.into_damage();
            OpenError::Damaged { path, why: format!("{what}: {why}") }
        }
    }
}
