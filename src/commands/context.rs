//! `context`: which files COPY could see, and which rule of the ignore file decided that it cannot.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use frontend::ignore::IgnoreRules;

use crate::cli::context::{ContextCommand, ContextListArgs};
use crate::columns::{Columns, Row};
use crate::project;
use crate::report::{Class, Failure};

/// Does what the arguments ask for.
pub fn command(command: &ContextCommand) -> anyhow::Result<u8> {
    match command {
        ContextCommand::Ls(args) => list(args),
    }
}

fn list(args: &ContextListArgs) -> anyhow::Result<u8> {
    let rules = project::ignore_for(&args.context, args.file.as_deref())?;
    let mut rows = Vec::new();
    walk(&args.context, b"", &rules, &mut rows)?;
    let columns = Columns {
        fields: &[
            ("Path", "PATH"),
            ("Seen", "SEEN"),
            ("Rule", "LEFT OUT BY"),
            ("Line", "LINE"),
        ],
        shown: vec!["Path", "Seen", "Rule", "Line"],
    };
    columns.print(args.format.as_deref(), &rows)?;
    Ok(0)
}

/// Adds rows for what is in the directory `dir` (relative to `root`), by name. A directory that is
/// left out with everything in it is one row.
fn walk(root: &Path, dir: &[u8], rules: &IgnoreRules, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let here = root.join(OsStr::from_bytes(dir));
    let broken = |error: std::io::Error| Failure {
        causes: vec![error.to_string()],
        ..Failure::new(
            Class::Yours,
            format!("cannot read the directory {}", here.display()),
        )
    };
    let mut entries = std::fs::read_dir(&here)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(broken)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(broken)?;
        let name = entry.file_name();
        let mut path = dir.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let excluded = rules.excludes(&path);
        if kind.is_dir() && (!excluded || rules.may_include_below(&path)) {
            let before = rows.len();
            walk(root, &path, rules, rows)?;
            // An empty directory is seen too.
            if excluded || rows.len() > before {
                continue;
            }
        }
        let (seen, rule, line) = match rules.deciding_rule(&path).filter(|_| excluded) {
            Some((line, rule)) => ("no", rule.to_owned(), line.to_string()),
            None if kind.is_socket() => ("no", "(a socket)".to_owned(), String::new()),
            None => ("yes", String::new(), String::new()),
        };
        let mut shown = String::from_utf8_lossy(&path).into_owned();
        if kind.is_dir() {
            shown.push('/');
        }
        rows.push(vec![shown, seen.to_owned(), rule, line]);
    }
    Ok(())
}
