//! How much memory this process uses and may use, as the system tells it, for admission to act on.

use std::{fs, path::Path, sync::mpsc::Receiver, time::Duration};

use tollgate_control::reload::Reloader;
use tollgate_proxy::{Live, Mark};
use tollgate_telemetry::HeldSeries;

use super::background::goes_on;

/// A process that takes a gigabyte a second is seen before it has a tenth of one more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at memory, time after time, and tells the gate. Where the system tells nothing, no mark is ever
/// reached.
pub(super) fn run(live: &Live, reloader: &Reloader, stop: &Receiver<()>) {
    let series = HeldSeries::new();
    let system = allowed(&read);
    let mut before = Mark::Low;
    while goes_on(stop, LOOK_EVERY) {
        let limit = reloader.running().settings.memory.or(system);
        let mark = match (in_use(&read), limit) {
            (Some(used), Some(limit)) => live.gate.memory.observe(used, limit),
            _ => live.gate.memory.observe(0, u64::MAX),
        };
        if mark != before {
            tracing::warn!(from = ?before, to = ?mark, "memory has reached another mark");
            before = mark;
        }
        series.set(live.gate.bytes_held(), mark as u8);
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Bytes of memory that are the process's own: pages of files can be given up at any time.
fn in_use(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    kibibytes(&read(Path::new("/proc/self/status"))?, "RssAnon:")
}

/// Bytes of memory that the process may have: the tightest of its control group and those above it,
/// else what the machine has.
fn allowed(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = kibibytes(&read(Path::new("/proc/meminfo"))?, "MemTotal:");
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (root, file) = match controllers {
            // Version 2 has one hierarchy for all; version 1 has one for memory.
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let root = Path::new(root);
        let own = root.join(group.trim_start_matches('/'));
        // Within a container the group's path may be one that only the host can see.
        let above = own.ancestors().take_while(|folder| folder.starts_with(root));
        above.filter_map(|folder| read(&folder.join(file))?.trim().parse().ok()).collect()
    });
    limits.chain(machine).min()
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       24000 kB\nMemFree:        100 kB\n");

    /// Files by path, with what they hold.
    type Files = &'static [(&'static str, &'static str)];

    fn system(files: Files) -> impl Fn(&Path) -> Option<String> {
        move |path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    #[test]
    fn the_tightest_limit_counts() {
        let cases: [(&str, Files, Option<u64>); 6] = [
            ("a machine", &[MACHINE], Some(24_000 << 10)),
            (
                "a group of version 2",
                &[
                    MACHINE,
                    ("/proc/self/cgroup", "0::/system.slice/tollgate.service\n"),
                    ("/sys/fs/cgroup/system.slice/tollgate.service/memory.max", "2000000\n"),
                    ("/sys/fs/cgroup/system.slice/memory.max", "max\n"),
                ],
                Some(2_000_000),
            ),
            (
                "the group above it",
                &[
                    MACHINE,
                    ("/proc/self/cgroup", "0::/a/b\n"),
                    ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
                    ("/sys/fs/cgroup/a/memory.max", "3000000\n"),
                ],
                Some(3_000_000),
            ),
            (
                "a container that does not see its own path",
                &[
                    MACHINE,
                    ("/proc/self/cgroup", "0::/host/path\n"),
                    ("/sys/fs/cgroup/memory.max", "4000000\n"),
                ],
                Some(4_000_000),
            ),
            (
                "a group of version 1 without a limit",
                &[
                    MACHINE,
                    ("/proc/self/cgroup", "5:cpu:/x\n4:memory:/x\n"),
                    ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                Some(24_000 << 10),
            ),
            ("no such system", &[], None),
        ];
        for (name, files, want) in cases {
            assert_eq!(allowed(&system(files)), want, "{name}");
        }
    }

    #[test]
    fn only_memory_of_its_own_is_in_use() {
        const STATUS: &str = "VmRSS:\t   9000 kB\nRssAnon:\t    4000 kB\nRssFile:\t    5000 kB\n";
        assert_eq!(in_use(&system(&[("/proc/self/status", STATUS)])), Some(4_000 << 10));
        assert_eq!(in_use(&system(&[("/proc/self/status", "VmRSS: many\n")])), None);
    }
}
