//! Giving memory back. Decides nothing.

use super::last;

/// Forgets where the code of this program is in memory: what is run again is found again in the page
/// cache, one fault at a time, and what is never run again no longer counts as this process's.
///
/// # Errors
/// When /proc/self/maps cannot be read, or as madvise(2).
pub fn forget_code() -> std::io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    for (start, end) in maps.lines().filter_map(code) {
        // SAFETY: the range is a private mapping of a file that nobody can write to through it: the
        // same bytes are there again when they are touched
        let result =
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        if result != 0 {
            return Err(last().into());
        }
    }
    give_back();
    Ok(())
}

/// Gives free memory of the allocator back, where the C library can.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches nothing that is in use
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The range of a line of maps, if it is a file's code.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let inode = words.nth(2)?;
    if rights != "r-xp" || inode == "0" {
        return None;
    }
    let number = |text: &str| usize::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_forgotten() {
        let line = "55e0-5600 r-xp 00001000 08:01 42   /usr/bin/x";
        assert_eq!(code(line), Some((0x55e0, 0x5600)));
        assert_eq!(code("55e0-5600 r--p 00001000 08:01 42 /usr/bin/x"), None);
        assert_eq!(code("7ffe-7fff r-xp 00000000 00:00 0 [vdso]"), None);
        assert_eq!(code("nonsense"), None);
    }

    #[test]
    fn what_is_forgotten_still_runs() {
        forget_code().unwrap();
        assert_eq!(format!("{:?}", 7), "7");
    }
}
