//! Variables: from flags, files, the caller and the image.

use std::path::Path;

use crate::report::Failure;

use super::ENGINE;

/// What PATH is when neither the image nor anybody else says it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of files and then of flags. One without `=` is the caller's, and absent if the
/// caller has none.
pub fn given(
    flags: &[String],
    files: &[std::path::PathBuf],
    caller: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for file in files {
        all.extend(lines(file)?);
    }
    all.extend(flags.iter().cloned());
    let mut variables = Vec::new();
    for variable in all {
        match variable.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::new(
                    ENGINE,
                    format!("invalid environment variable: {variable}"),
                ));
            }
            Some(_) => variables.push(variable),
            None if variable.is_empty() => {
                return Err(Failure::new(
                    ENGINE,
                    "invalid argument \"\" for \"-e, --env\" flag: invalid environment variable: ",
                ));
            }
            None => {
                if let Some(value) = caller(&variable) {
                    variables.push(format!("{variable}={value}"));
                }
            }
        }
    }
    Ok(last_of_each(variables))
}

/// The lines of a file of variables or labels: no empty ones, no comments; values as they are.
pub fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |why: String| Failure::new(ENGINE, format!("open {}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| {
        unreadable(match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        })
    })?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split_once('=').map_or(line, |(name, _)| name);
        if name.trim_end().is_empty() || name.contains(char::is_whitespace) {
            return Err(Failure::new(
                ENGINE,
                format!(
                    "poorly formatted environment: variable '{name}' has white spaces ({})",
                    file.display()
                ),
            ));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// A container's own variables first, then those of the image that it does not set.
pub fn with_image(own: Vec<String>, image: &[String]) -> Vec<String> {
    let mut all = own;
    for variable in image {
        if !all.iter().any(|known| name(known) == name(variable)) {
            all.push(variable.clone());
        }
    }
    all
}

/// The environment of a process: what every container has, then `own`, which may replace it.
pub fn complete(own: &[String], hostname: &str, terminal: bool) -> Vec<String> {
    let mut all = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        all.push("TERM=xterm".to_owned());
    }
    all.extend(own.iter().cloned());
    last_of_each(all)
}

/// Later ones replace earlier ones, in the earlier one's place.
pub fn last_of_each(variables: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(variables.len());
    for variable in variables {
        match kept.iter_mut().find(|known| name(known) == name(&variable)) {
            Some(known) => *known = variable,
            None => kept.push(variable),
        }
    }
    kept
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_files_and_names_alone_are_the_callers() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("list");
        std::fs::write(&file, "# a\nX=1\n\n Y=a b # kept\nHERE\nGONE\nZ=\"q\"\n").unwrap();
        let flags = ["X=2", "A=", "HERE"].map(str::to_owned);
        let caller = |name: &str| (name == "HERE").then(|| "yes".to_owned());
        let found = given(&flags, std::slice::from_ref(&file), caller).unwrap();
        assert_eq!(found, ["X=2", "Y=a b # kept", "HERE=yes", "Z=\"q\"", "A="]);
        assert!(given(&["=x".to_owned()], &[], caller).is_err());
        assert!(given(&[String::new()], &[], caller).is_err());
        std::fs::write(&file, "A B=1\n").unwrap();
        let wrong = given(&[], &[file], caller).unwrap_err();
        assert!(wrong.title.contains("white spaces"), "{}", wrong.title);
        let missing = given(&[], &[dir.path().join("none")], caller).unwrap_err();
        assert!(missing.title.contains("no such file"), "{}", missing.title);
    }

    #[test]
    fn an_image_and_a_process_add_what_is_not_there() {
        let own = with_image(vec!["A=1".into()], &["A=0".into(), "B=2".into()]);
        assert_eq!(own, ["A=1", "B=2"]);
        let all = complete(&["PATH=/x".into(), "B=2".into()], "box", true);
        assert_eq!(all, ["PATH=/x", "HOSTNAME=box", "TERM=xterm", "B=2"]);
    }
}
