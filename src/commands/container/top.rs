//! `top`: shows the processes of a container, as the host's ps(1) does.

use std::process::Command;

use crate::cli::container::TopArgs;
use crate::containers::find;
use crate::home::Home;
use crate::output::print;
use crate::report::{Class, Failure};

/// Shows the lines of `ps` that are the container's.
pub fn run(args: &TopArgs, home: &Home) -> anyhow::Result<u8> {
    let refused = |message: String| Failure::new(Class::Refused, message);
    let (container, options) = args
        .words
        .split_first()
        .ok_or_else(|| refused("top requires at least 1 argument".to_owned()))?;
    let store = home.enter_and_open_alone()?;
    let row = find::row(&store, container)?;
    find::status(&store, &row)?;
    let mut control = find::control(&store, &row)?
        .ok_or_else(|| refused(format!("Container {} is not running", row.id)))?;
    let own = control
        .processes()
        .map_err(|error| find::monitor_failure(&error))?;
    let ids: Vec<String> = own.iter().map(i32::to_string).collect();
    let ps = |quick: bool| {
        let mut ps = Command::new("ps");
        match options {
            [] => ps.arg("-ef"),
            options => ps.args(options.iter().flat_map(|words| words.split_whitespace())),
        };
        if quick {
            ps.arg(format!("-q{}", ids.join(",")));
        }
        ps.output().map_err(|error| {
            let mut failure = refused("ps of this machine cannot be started".to_owned());
            failure.causes = vec![error.to_string()];
            failure
        })
    };
    // Options that select processes, and old versions, do not go together with -q.
    let quick = ps(true)?;
    let output = if quick.status.success() {
        quick
    } else {
        ps(false)?
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(format!("error running ps: {}", said.trim())).into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    print(
        &own_lines(&text, &own)
            .ok_or_else(|| refused("Couldn't find PID field in ps output".to_owned()))?,
    )?;
    Ok(0)
}

/// The heading of ps, and the lines of these processes; none if it shows no ids.
fn own_lines(text: &str, own: &[i32]) -> Option<String> {
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next()?.split_whitespace().collect();
    let at = heading.iter().position(|name| *name == "PID")?;
    let mut rows = vec![heading.join("\t")];
    for line in lines {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let is_own = cells
            .get(at)
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| own.contains(&pid));
        if is_own {
            let last = heading.len() - 1;
            let mut row: Vec<String> = cells
                .iter()
                .take(last)
                .map(|cell| (*cell).to_owned())
                .collect();
            row.push(cells.get(last..).unwrap_or_default().join(" "));
            rows.push(row.join("\t"));
        }
    }
    Some(crate::columns::align(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_are_shown() {
        let text = "UID PID CMD\nroot 1 init\nroot 7 sleep 100\n";
        let shown = own_lines(text, &[7]).unwrap();
        assert_eq!(
            shown,
            "UID       PID       CMD\nroot      7         sleep 100\n"
        );
        assert!(own_lines("USER CMD\n", &[7]).is_none());
    }
}
