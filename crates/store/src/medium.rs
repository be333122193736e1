//! What kind of file system a folder lies on.

use std::path::Path;

/// File systems that keep nothing, or whose word about flushes and locks depends on a machine elsewhere.
const UNFIT: [&str; 16] = [
    "tmpfs",
    "ramfs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "afs",
    "glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.glusterfs",
    "lustre",
];

/// The kind of file system of `folder`, if it is one that cannot be trusted. What the system does not tell
/// (outside of Linux) is taken for a disk.
pub(crate) fn unfit(folder: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let kind = kind_of(&mounts, &folder.canonicalize().ok()?)?;
    UNFIT.contains(&kind).then(|| kind.to_owned())
}

/// The type of the innermost mount that holds `path`. proc_pid_mountinfo(5): the fifth field is the place,
/// the one behind " - " the type.
fn kind_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (Some(place), Some(kind)) = (left.split(' ').nth(4), right.split(' ').next()) else {
            continue;
        };
        let place = place.replace("\\040", " ");
        // A later mount of the same place hides the earlier one.
        if path.starts_with(&place) && best.is_none_or(|(len, _)| place.len() >= len) {
            best = Some((place.len(), kind));
        }
    }
    best.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /tmp rw shared:2 - tmpfs tmpfs rw
24 22 0:22 / /mnt/a\\040b rw - nfs4 server:/a rw
25 23 254:1 / /tmp/disk rw - xfs /dev/vdb rw
";

    #[test]
    fn the_innermost_mount_says_what_a_path_lies_on() {
        for (path, kind) in [
            ("/var/lib/x", "ext4"),
            ("/tmp/x", "tmpfs"),
            ("/tmpx", "ext4"),
            ("/tmp/disk/x", "xfs"),
            ("/mnt/a b/c", "nfs4"),
        ] {
            assert_eq!(kind_of(MOUNTS, Path::new(path)), Some(kind), "{path}");
        }
    }
}
