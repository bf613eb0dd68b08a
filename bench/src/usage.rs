//! What a process costs, as Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The unit of processor times in `/proc`, the same on every Linux that there is.
const TICKS_PER_SECOND: u32 = 100;

/// A look at a process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory that it holds.
    pub resident_bytes: u64,
    /// The most that it ever held.
    pub peak_bytes: u64,
    /// Processor time that it has used, in steps of 10 ms.
    pub processor: Duration,
    /// Open files and sockets.
    pub files: usize,
}

impl Usage {
    /// Of the process with this id.
    pub fn of(process: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{process}/{name}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let status = read("status")?;
        let stat = read("stat")?;
        let files = fs::read_dir(format!("/proc/{process}/fd")).context("cannot list the open files")?.count();
        Ok(Self {
            resident_bytes: kibibytes(&status, "VmRSS:")? << 10,
            peak_bytes: kibibytes(&status, "VmHWM:")? << 10,
            processor: processor(&stat).context("cannot read the times of the process")?,
            files,
        })
    }
}

fn kibibytes(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    number.with_context(|| format!("there is no {name} in the status of the process"))
}

/// User and system time. The name of the program, in parentheses, may contain anything.
fn processor(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u32>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_secs(ticks.into()) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1";
        assert_eq!(processor(stat), Some(Duration::from_secs(2)));
        assert_eq!(kibibytes("VmPeak:\t  9 kB\nVmRSS:\t  12 kB\n", "VmRSS:").unwrap(), 12);
        assert!(kibibytes("", "VmRSS:").is_err());
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.resident_bytes > 0 && own.peak_bytes >= own.resident_bytes && own.files > 2);
    }
}
