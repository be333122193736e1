//! What the operating system says of the machine and of this process; `None` where it says nothing.

use std::fs;
use std::time::Duration;

/// Logical cores that this process may use.
pub(super) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The model of the processor.
pub(super) fn cpu_model() -> Option<String> {
    model_in(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// Memory of this process that is in RAM, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    // The sum of the page tables. The counters of `statm` and `status` are cheaper, and off by some
    // hundred KiB since Linux 6.2, where each core keeps its own and adds it up now and then.
    let exact = fs::read_to_string("/proc/self/smaps_rollup").ok();
    exact
        .and_then(|text| kib_in(&text, "Rss:"))
        .or_else(|| kib_in(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:"))
}

/// CPU time that the threads of this process have used.
pub(super) fn cpu_time() -> Option<Duration> {
    let mut ns = 0;
    for task in fs::read_dir("/proc/self/task").ok()? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
        ns += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(ns))
}

fn model_in(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned()).filter(|model| !model.is_empty())
}

fn kib_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_first_processors() {
        let table = [
            (
                "processor\t: 0\nmodel name\t: A CPU @ 3 GHz\nmodel name\t: B\n",
                Some("A CPU @ 3 GHz"),
            ),
            ("model name\t: \n", None),
            ("processor: 0\n", None),
            ("", None),
        ];
        for (text, model) in table {
            assert_eq!(model_in(text).as_deref(), model, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_in_kib() {
        let table = [
            ("a-b rollup\nRss:      1904 kB\nPss: 1 kB\n", "Rss:", Some(1904 * 1024)),
            ("VmHWM: 1 kB\nVmRSS:\t  12 kB\n", "VmRSS:", Some(12 * 1024)),
            ("VmRSS: x kB\n", "VmRSS:", None),
            ("", "Rss:", None),
        ];
        for (text, name, bytes) in table {
            assert_eq!(kib_in(text, name), bytes, "{text:?}");
        }
    }
}
