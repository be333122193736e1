//! D23 and D24: the file follows the document, and outside changes get into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ggml_agent::{Addr, EventKind, Events, StartError};
use ggml_agent_doc::file::{
    FileEvent, FileEventKind, FileFault, FollowError, FollowOptions, Follower,
};
use ggml_agent_doc::{Document, Edit, LoadError, SectionId};

use crate::support::{Do, House, TEXT, Writer, edit, lock};

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ggml-agent-file-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A document, its file, and somebody who writes.
struct Desk {
    house: House,
    events: Events,
    writer: Addr<Writer>,
    follower: Addr<Follower>,
    path: PathBuf,
    folder: Folder,
}

impl Desk {
    /// The file holds the document.
    async fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        fs::write(folder.path("plan.md"), TEXT).unwrap();
        Self::at(folder, House::new().await).await
    }

    async fn at(folder: Folder, house: House) -> Self {
        let path = folder.path("plan.md");
        let (events, writer) = (house.system.events(), house.writer("writer").await);
        let follower = follow(&house, &path).await;
        Self { house, events, writer, follower, path, folder }
    }

    async fn edit(&self, n: usize, text: &str) {
        let section = self.house.sections[n];
        let version = self.house.document.read(section).await.unwrap().unwrap().version;
        edit(&self.writer, Edit::optimistic(section, version, text)).await.unwrap();
    }

    async fn saw<T>(&mut self, what: impl Fn(&FileEventKind) -> Option<T>) -> T {
        self.events.find(|event| what(&file_event(event)?)).await.unwrap()
    }

    async fn written(&mut self) -> String {
        self.saw(|kind| matches!(kind, FileEventKind::Written { .. }).then_some(())).await;
        self.file()
    }

    async fn imported(&mut self) -> usize {
        self.saw(|kind| match kind {
            FileEventKind::Imported { n_conflicts, .. } => Some(*n_conflicts),
            _ => None,
        })
        .await
    }

    fn file(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    async fn ids(&self) -> Vec<SectionId> {
        let snapshot = self.house.document.snapshot().await.unwrap();
        snapshot.sections.iter().map(|section| section.id).collect()
    }
}

async fn follow(house: &House, path: &Path) -> Addr<Follower> {
    let document = house.document.clone();
    Follower::start(&house.system, document, path, FollowOptions::default()).await.unwrap()
}

fn file_event(event: &EventKind) -> Option<FileEventKind> {
    let EventKind::Custom(event) = event else { return None };
    Some(event.as_any().downcast_ref::<FileEvent>()?.kind.clone())
}

fn left_alone(kind: &FileEventKind) -> Option<Arc<FileFault>> {
    match kind {
        FileEventKind::LeftAlone { why } => Some(why.clone()),
        _ => None,
    }
}

/// Virtual time, in which the follower does what it has to.
async fn pass(ms: u64) {
    // The clock is paused: it goes on when nobody has anything to do, jobs on other threads included.
    let never = std::future::pending::<()>();
    tokio::time::timeout(Duration::from_millis(ms), never).await.unwrap_err();
}

const EDITED: &str = "# One\n\nedited\n\n# Two\n\nsecond\n";

#[tokio::test(start_paused = true)]
async fn d23_an_edit_reaches_the_file() {
    let mut desk = Desk::new("edit").await;
    pass(5_000).await;
    let inode = fs::metadata(&desk.path).unwrap();
    desk.edit(0, "# One\n\nnot yet\n\n").await;
    assert_eq!(desk.file(), TEXT, "a moment later, with what comes until then");
    desk.edit(0, "# One\n\nedited\n\n").await;
    assert_eq!(desk.written().await, EDITED);
    assert_eq!(desk.folder.names(), ["plan.md"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let ino = |metadata: &fs::Metadata| metadata.ino();
        let now = fs::metadata(&desk.path).unwrap();
        assert_ne!(ino(&inode), ino(&now), "another file has taken its place");
    }
    let now = || fs::metadata(&desk.path).unwrap().modified().unwrap();
    let before = now();
    pass(60_000).await;
    assert_eq!((now(), desk.file()), (before, EDITED.into()), "written once");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn d23_permissions_stay_and_a_link_stays_a_link() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("link");
    fs::create_dir(folder.path("there")).unwrap();
    let target = folder.path("there/real.md");
    fs::write(&target, TEXT).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("there/real.md", folder.path("plan.md")).unwrap();
    let mut desk = Desk::at(folder, House::new().await).await;
    desk.edit(0, "# One\n\nedited\n\n").await;
    assert_eq!(desk.written().await, EDITED);
    assert!(fs::symlink_metadata(&desk.path).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(desk.folder.names(), ["plan.md", "there"]);
}

#[tokio::test(start_paused = true)]
async fn d24_an_outside_change_and_an_edit_of_another_section_go_together() {
    let mut desk = Desk::new("merge").await;
    pass(5_000).await;
    fs::write(&desk.path, "# One\n\nfirst\n\n# New\n\nthird\n\n# Two\n\nsecond, outside\n")
        .unwrap();
    desk.edit(0, "# One\n\nedited\n\n").await;
    assert_eq!(desk.imported().await, 0);
    let both = "# One\n\nedited\n\n# New\n\nthird\n\n# Two\n\nsecond, outside\n";
    assert_eq!(desk.house.text().await, both);
    assert_eq!(desk.written().await, both);
    assert_eq!(desk.folder.names(), ["plan.md"]);
    let [one, two] = [desk.house.sections[0], desk.house.sections[1]];
    let ids = desk.ids().await;
    assert_eq!((ids[0], ids[2]), (one, two), "known by their names");
}

#[tokio::test(start_paused = true)]
async fn d24_an_outside_change_that_no_poll_has_seen_is_not_written_over() {
    let mut desk = Desk::new("unseen").await;
    pass(5_250).await;
    // Written 300 ms later: after the next poll.
    desk.edit(0, "# One\n\nedited\n\n").await;
    pass(270).await;
    let outside = "# One\n\nfirst\n\n# Two\n\nsecond, outside\n";
    fs::write(&desk.path, outside).unwrap();
    pass(100).await;
    assert_eq!(desk.file(), outside, "the time to write has come and gone");
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.written().await, "# One\n\nedited\n\n# Two\n\nsecond, outside\n");
}

#[tokio::test(start_paused = true)]
async fn d24_an_outside_change_of_a_locked_section_is_saved_beside_the_file() {
    let mut desk = Desk::new("locked").await;
    fs::write(desk.folder.path("plan.conflict-1.md"), "mine").unwrap();
    lock(&desk.writer, desk.house.deny(0)).await.unwrap();
    let outside = "# One\n\noutside\n\n# Two\n\nsecond, outside\n";
    fs::write(&desk.path, outside).unwrap();
    assert_eq!(desk.imported().await, 1);
    let beside = desk
        .saw(|kind| match kind {
            FileEventKind::ConflictSaved { beside } => Some(beside.clone()),
            _ => None,
        })
        .await;
    assert_eq!(beside, desk.folder.path("plan.conflict-2.md"));
    let saved = fs::read_to_string(beside).unwrap();
    assert!(saved.ends_with("\n# One\n\noutside\n\n\n"), "{saved}");
    assert!(saved.contains("plan.md, section s1: writer#1 holds the section"), "{saved}");
    assert_eq!(fs::read_to_string(desk.folder.path("plan.conflict-1.md")).unwrap(), "mine");
    let kept = "# One\n\nfirst\n\n# Two\n\nsecond, outside\n";
    assert_eq!(desk.written().await, kept);
    assert_eq!(desk.house.text().await, kept);
}

#[tokio::test(start_paused = true)]
async fn d24_an_editor_that_saves_by_renaming_is_merged() {
    let mut desk = Desk::new("rename").await;
    pass(5_250).await;
    // As vim does with `backupcopy=no`, on a slow disk: for more than one poll there is no file.
    let backup = desk.folder.path("plan.md~");
    fs::rename(&desk.path, &backup).unwrap();
    desk.edit(0, "# One\n\nedited\n\n").await;
    pass(600).await;
    assert!(!desk.path.exists(), "not written into the gap");
    fs::write(&desk.path, "# One\n\nfirst\n\n# Two\n\nsecond, by vim\n").unwrap();
    fs::remove_file(&backup).unwrap();
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.written().await, "# One\n\nedited\n\n# Two\n\nsecond, by vim\n");
    // And as most do: the new one takes the place of the old one.
    fs::write(&backup, "# One\n\nedited\n\n# Two\n\nsecond, by emacs\n").unwrap();
    fs::rename(&backup, &desk.path).unwrap();
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.house.text().await, "# One\n\nedited\n\n# Two\n\nsecond, by emacs\n");
    assert_eq!(desk.ids().await, desk.house.sections.to_vec());
}

#[tokio::test(start_paused = true)]
async fn d24_an_editor_that_cuts_the_file_off_first_is_waited_for() {
    let mut desk = Desk::new("truncate").await;
    pass(5_000).await;
    let file = fs::File::create(&desk.path).unwrap();
    assert_eq!(desk.file(), "");
    desk.edit(0, "# One\n\nedited\n\n").await;
    pass(1_400).await;
    assert_eq!(desk.file(), "", "nobody writes between");
    assert_eq!(desk.house.text().await, EDITED, "and nothing is taken for gone");
    fs::write(&desk.path, "# One\n\nfirst\n\n# Two\n\nsecond, outside\n").unwrap();
    drop(file);
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.written().await, "# One\n\nedited\n\n# Two\n\nsecond, outside\n");
    assert_eq!(desk.ids().await, desk.house.sections.to_vec());
    // Empty, and it stays so.
    fs::write(&desk.path, "").unwrap();
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.house.text().await, "");
}

#[tokio::test(start_paused = true)]
async fn d23_a_kill_while_the_file_is_written_leaves_the_old_one_and_nothing_else() {
    // What a process leaves that is killed between the new file and its renaming.
    let folder = Folder::new("kill");
    fs::write(folder.path("plan.md"), TEXT).unwrap();
    fs::write(folder.path(".plan.md.ggml-agent-new"), "# One\n\nhal").unwrap();
    let desk = Desk::at(folder, House::new().await).await;
    assert_eq!((desk.folder.names(), desk.file()), (vec!["plan.md".into()], TEXT.into()));
    assert_eq!(desk.house.text().await, TEXT);
}

#[tokio::test(start_paused = true)]
async fn d23_a_write_that_fails_is_told_once_and_tried_again_and_the_old_file_is_whole() {
    let mut desk = Desk::new("full").await;
    pass(5_000).await;
    // No new file can be made, whoever asks.
    let in_the_way = desk.folder.path(".plan.md.ggml-agent-new");
    fs::create_dir(&in_the_way).unwrap();
    fs::write(in_the_way.join("x"), "").unwrap();
    let mut all = desk.house.system.events();
    desk.edit(0, "# One\n\nedited\n\n").await;
    let not_written = |kind: &FileEventKind| match kind {
        FileEventKind::NotWritten { why } => Some(why.clone()),
        _ => None,
    };
    let why = desk.saw(not_written).await;
    assert!(matches!(*why, FileFault::Io(_)), "{why}");
    pass(20_000).await;
    assert_eq!(desk.file(), TEXT);
    fs::remove_dir_all(&in_the_way).unwrap();
    assert_eq!(desk.written().await, EDITED);
    let mut n_told = 0;
    let is_written = |event: &EventKind| match file_event(event)? {
        FileEventKind::NotWritten { .. } => Some(false),
        FileEventKind::Written { .. } => Some(true),
        _ => None,
    };
    while !all.find(is_written).await.unwrap() {
        n_told += 1;
    }
    assert_eq!(n_told, 1, "once for all of it");
}

#[tokio::test(start_paused = true)]
async fn d23_a_file_that_cannot_be_read_is_left_alone_and_the_document_goes_on() {
    let mut desk = Desk::new("latin1").await;
    pass(5_000).await;
    let bad: &[u8] = b"# One\n\nfirst\n\n# Two\n\nsecond \xe9\n";
    fs::write(&desk.path, bad).unwrap();
    let why = desk.saw(left_alone).await;
    assert!(
        matches!(*why, FileFault::NotADocument(LoadError::NotUtf8 { at: 28, line: 7 })),
        "{why:?}"
    );
    desk.edit(0, "# One\n\nedited\n\n").await;
    pass(20_000).await;
    assert_eq!(fs::read(&desk.path).unwrap(), bad);
    fs::write(&desk.path, "x".repeat(16 * 1024 * 1024 + 1)).unwrap();
    let why = desk.saw(left_alone).await;
    assert!(matches!(*why, FileFault::NotADocument(LoadError::TooLarge { .. })), "{why:?}");
    fs::remove_file(&desk.path).unwrap();
    fs::create_dir(&desk.path).unwrap();
    let why = desk.saw(left_alone).await;
    assert!(matches!(*why, FileFault::NotAFile), "{why:?}");
    fs::remove_dir(&desk.path).unwrap();
    fs::write(&desk.path, "# One\n\nfirst\n\n# Two\n\nsecond é\n").unwrap();
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.written().await, "# One\n\nedited\n\n# Two\n\nsecond é\n");
}

#[tokio::test(start_paused = true)]
async fn d23_a_file_that_vanished_is_written_again() {
    let mut desk = Desk::new("vanished").await;
    fs::remove_file(&desk.path).unwrap();
    desk.saw(|kind| matches!(kind, FileEventKind::Missing).then_some(())).await;
    assert_eq!(desk.written().await, TEXT);
}

#[tokio::test(start_paused = true)]
async fn d23_what_ends_writes_once_more() {
    let desk = Desk::new("stop").await;
    desk.edit(0, "# One\n\nedited\n\n").await;
    desk.follower.stop();
    desk.follower.ended().await;
    assert_eq!(desk.file(), EDITED);
    // All at once: the document may end first.
    let desk = Desk::new("shutdown").await;
    desk.edit(0, "# One\n\nedited\n\n").await;
    // What it has heard of, it writes.
    pass(1).await;
    let path = desk.path.clone();
    desk.house.system.shutdown(Duration::from_secs(5)).await;
    assert_eq!(fs::read_to_string(path).unwrap(), EDITED);
}

#[tokio::test(start_paused = true)]
async fn d24_what_was_changed_before_the_start_is_merged_or_saved() {
    // Never edited: the document is what was read from the file.
    let outside = "# One\n\nfirst\n\n# Two\n\nsecond, outside\n";
    let folder = Folder::new("start");
    fs::write(folder.path("plan.md"), outside).unwrap();
    let mut desk = Desk::at(folder, House::new().await).await;
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.house.text().await, outside);
    let document = desk.house.document.clone();
    let options = FollowOptions::default();
    let second = Follower::start(&desk.house.system, document, &desk.path, options).await;
    assert!(matches!(second, Err(FollowError::Start(StartError::IdTaken { .. }))), "{second:?}");
    desk.follower.stop();
    desk.follower.ended().await;
    // Edited, and nobody knows from where the file comes.
    let other = "# Quite\n\nanother\n";
    fs::write(&desk.path, other).unwrap();
    desk.follower = follow(&desk.house, &desk.path).await;
    assert_eq!(desk.written().await, outside);
    let saved = fs::read_to_string(desk.folder.path("plan.conflict-1.md")).unwrap();
    assert!(saved.ends_with(&format!("-->\n\n{other}\n")), "{saved}");
    assert_eq!(desk.house.text().await, outside);
}

#[tokio::test(start_paused = true)]
async fn d24_a_follower_that_missed_updates_asks_for_the_document() {
    let mut desk = Desk::new("restore").await;
    pass(5_000).await;
    // Gone and back: what comes back, no update says.
    fs::write(&desk.path, "# Two\n\nsecond\n").unwrap();
    assert_eq!(desk.imported().await, 0);
    fs::write(&desk.path, TEXT).unwrap();
    assert_eq!(desk.imported().await, 0);
    assert_eq!(desk.ids().await, desk.house.sections.to_vec());
    desk.edit(0, "# One\n\nedited\n\n").await;
    assert_eq!(desk.written().await, EDITED);
    assert_eq!(Document::parse(&desk.file()).unwrap().sections().len(), 2);
    let notes = desk.writer.ask(Do::Notes).await.unwrap();
    assert!(notes.is_empty());
}
