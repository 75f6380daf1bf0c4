//! What a process and its children cost, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/<pid>/stat`: 100 on every Linux that user space sees.
const TICKS: u64 = 100;

/// A process id.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Pid(pub(crate) u32);

/// What a process tree used between two looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time of the tree, with children that have ended and were waited for.
    pub(crate) cpu: Duration,
    /// Resident memory of the tree at the second look. Pages that processes share count in each.
    pub(crate) resident_bytes: u64,
}

/// The first look.
#[derive(Debug)]
pub(crate) struct Watch {
    root: Pid,
    ticks: u64,
}

impl Watch {
    pub(crate) fn start(root: Pid) -> Result<Self> {
        Ok(Self { root, ticks: ticks(root)? })
    }

    pub(crate) fn stop(self) -> Result<Cost> {
        let ticks = ticks(self.root)?.saturating_sub(self.ticks);
        Ok(Cost { cpu: Duration::from_millis(ticks * 1000 / TICKS), resident_bytes: resident(self.root)? })
    }
}

/// Resident memory of a process tree.
pub(crate) fn resident(root: Pid) -> Result<u64> {
    Ok(tree(root)?.iter().filter_map(|pid| resident_of(*pid)).sum())
}

fn ticks(root: Pid) -> Result<u64> {
    let ticks: Vec<u64> = tree(root)?.iter().filter_map(|pid| Some(Stat::of(*pid)?.ticks)).collect();
    Ok(ticks.iter().sum())
}

/// The process and all its living descendants.
fn tree(root: Pid) -> Result<Vec<Pid>> {
    Stat::of(root).with_context(|| format!("process {} is not there", root.0))?;
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid) else {
            continue;
        };
        // Processes come and go while the folder is read.
        if let Some(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.get(pid).into_iter().flatten());
        next += 1;
    }
    Ok(tree)
}

#[derive(Debug, Eq, PartialEq)]
struct Stat {
    parent: Pid,
    ticks: u64,
}

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{}/stat", pid.0)).ok()?)
    }

    /// Fields as in proc(5). The second one, the command, may hold blanks and parentheses, so
    /// counting begins after its last parenthesis.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let parent = Pid(u32::try_from(number(4)?).ok()?);
        Some(Self { parent, ticks: number(14)? + number(15)? + number(16)? + number(17)? })
    }
}

/// The most memory that a living process ever had resident.
pub(crate) fn peak(pid: Pid) -> Result<u64> {
    memory_of(pid, "VmHWM:").with_context(|| format!("process {} is not there", pid.0))
}

fn resident_of(pid: Pid) -> Option<u64> {
    memory_of(pid, "VmRSS:")
}

/// A line of `/proc/<pid>/status`, in bytes.
fn memory_of(pid: Pid, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.0)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_blanks_and_parentheses_do_not_shift_the_fields() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 2 0 5 6 7";
        assert_eq!(Stat::parse(line), Some(Stat { parent: Pid(3), ticks: 127 }));
        assert_eq!(Stat::parse("7 (cut"), None);
    }

    #[test]
    fn this_process_has_memory_and_is_its_own_root() {
        let me = Pid(std::process::id());
        assert_eq!(tree(me).expect("this process")[0], me);
        assert!(resident(me).expect("this process") > 0);
        assert!(tree(Pid(u32::MAX)).is_err());
    }
}
