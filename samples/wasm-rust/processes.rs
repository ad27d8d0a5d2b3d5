//! Finds the number below LIMIT that takes the most steps to 1 in Collatz's sequence: processes
//! [LIMIT] [WORKERS]. Each worker is a process with a memory of its own, which is told its range by
//! its arguments and sends its result as a message. One more worker panics, which is noticed and
//! does no harm.
use std::env;
use std::process::exit;

/// Atoll's own calls that are used here; docs/hostcalls.md has them all.
mod atoll {
    #[repr(C)]
    #[derive(Default)]
    pub struct SpawnOptions {
        pub flags: u32,
        pub weight: i32,
        pub priority: i32,
        pub overflow: u32,
        pub handles: u32,
        pub handle_count: u32,
        pub handle_limit: u32,
        pub mailbox_messages: u32,
        pub mailbox_bytes: u64,
        pub memory: u64,
        pub stack: u64,
        pub fuel: u64,
        pub time: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    pub struct MessageInfo {
        pub sender: i64,
        pub tag: i32,
        pub size: u32,
        pub handle_count: u32,
        pub handles: [u32; 8],
    }

    pub const SPAWN_MONITOR: u32 = 2;
    pub const TAG_ANY: i32 = i32::MIN;
    pub const TAG_DOWN: i32 = -2;

    mod raw {
        use super::{MessageInfo, SpawnOptions};
        #[link(wasm_import_module = "atoll")]
        extern "C" {
            pub fn entry_find(p: *const u8, n: usize) -> i32;
            pub fn spawn(
                entry: i32,
                args: *const i64,
                count: usize,
                options: *const SpawnOptions,
            ) -> i64;
            pub fn process_parent() -> i64;
            pub fn process_send(pid: i64, tag: i32, p: *const u8, n: usize) -> i32;
            pub fn receive(
                tag: i32,
                p: *mut u8,
                n: usize,
                timeout: i64,
                info: *mut MessageInfo,
            ) -> i32;
        }
    }

    /// Errors are WASI's numbers.
    fn result(number: i64) -> Result<i64, String> {
        if number < 0 {
            Err(format!("error {}", -number))
        } else {
            Ok(number)
        }
    }

    /// Starts an exported function in a new process, which is monitored; its pid.
    pub fn spawn_monitored(entry: &str, arguments: &[i64]) -> Result<i64, String> {
        let options = SpawnOptions { flags: SPAWN_MONITOR, ..Default::default() };
        unsafe {
            let number = result(raw::entry_find(entry.as_ptr(), entry.len()).into())?;
            result(raw::spawn(number as i32, arguments.as_ptr(), arguments.len(), &options))
        }
    }

    pub fn parent() -> i64 {
        unsafe { raw::process_parent() }
    }

    pub fn send(pid: i64, tag: i32, bytes: &[u8]) -> Result<(), String> {
        result(unsafe { raw::process_send(pid, tag, bytes.as_ptr(), bytes.len()) }.into())
            .map(|_| ())
    }

    /// Waits for the next message of any tag, of at most 256 bytes: what is known of it, and its
    /// bytes.
    pub fn receive() -> Result<(MessageInfo, Vec<u8>), String> {
        let mut bytes = vec![0; 256];
        let mut info = MessageInfo::default();
        let size = unsafe { raw::receive(TAG_ANY, bytes.as_mut_ptr(), bytes.len(), -1, &mut info) };
        bytes.truncate(result(size.into())? as usize);
        Ok((info, bytes))
    }
}

const TAG_RESULT: i32 = 1;

fn steps(mut n: u64) -> u64 {
    let mut count = 0;
    while n != 1 {
        n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
        count += 1;
    }
    count
}

/// A worker: sends the number of its range that takes the most steps, and how many those are. An
/// empty range is a mistake.
#[no_mangle]
pub extern "C" fn worker(from: i64, to: i64) {
    let best = (from as u64..to as u64).map(|n| (steps(n), std::cmp::Reverse(n))).max();
    let (count, std::cmp::Reverse(number)) = best.expect("there is nothing to do");
    let text = format!("{} {}", number, count);
    atoll::send(atoll::parent(), TAG_RESULT, text.as_bytes()).expect("nobody waits for the result");
}

fn run() -> Result<(), String> {
    let mut numbers = env::args().skip(1).map(|text| text.parse::<i64>());
    let mut next = |usual| numbers.next().unwrap_or(Ok(usual)).map_err(|error| error.to_string());
    let (limit, workers) = (next(20_000)?, next(4)?);
    if limit < 2 || workers < 1 || workers > limit - 1 {
        return Err("LIMIT is at least 2, and WORKERS less than that".to_string());
    }
    let bound = |i: i64| 1 + (limit - 1) * i / workers;
    for i in 0..workers {
        atoll::spawn_monitored("worker", &[bound(i), bound(i + 1)])?;
    }
    atoll::spawn_monitored("worker", &[1, 1])?;

    // Each worker ends, with a result before or without one.
    let (mut best, mut results, mut failed, mut ended) = ((0, 0), 0, 0, 0);
    while ended < workers + 1 {
        let (info, bytes) = atoll::receive()?;
        if info.tag == TAG_RESULT {
            let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
            let parts: Vec<u64> = text.split(' ').filter_map(|part| part.parse().ok()).collect();
            if parts[1] > best.1 || parts[1] == best.1 && parts[0] < best.0 {
                best = (parts[0], parts[1]);
            }
            results += 1;
        } else if info.tag == atoll::TAG_DOWN {
            // An ExitInfo: the reason is behind two numbers of 8 bytes; 0 is an ordinary end.
            failed += i64::from(bytes[16] != 0);
            ended += 1;
        }
    }
    println!("{} takes {} steps; {} results, {} worker failed", best.0, best.1, results, failed);
    Ok(())
}

fn main() {
    if let Err(message) = run() {
        eprintln!("processes: {}", message);
        exit(1);
    }
}
