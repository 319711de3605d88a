//! Writes instructions down.

use frontend::instruction::*;

/// An instruction's keyword, its line, and the lines of its heredocs.
pub fn command(command: &Command) -> (&'static str, String, String) {
    let mut bodies = String::new();
    let (keyword, rest) = match command {
        Command::Arg(declarations) => {
            let texts = declarations.iter().map(|declaration| {
                let name = &declaration.name.text;
                match &declaration.default {
                    Some(default) => format!("{name}={}", default.text),
                    None => name.clone(),
                }
            });
            ("ARG", texts.collect::<Vec<_>>().join(" "))
        }
        Command::Env(list) => ("ENV", pairs(list)),
        Command::Label(list) => ("LABEL", pairs(list)),
        Command::Run(run) => {
            bodies.extend(run.heredocs.iter().map(body));
            let flags = flags("mount", &run.mounts) + &flag("network", run.network.as_ref());
            ("RUN", flags + &command_line(&run.command))
        }
        Command::Cmd(line) => ("cmd", command_line(line)),
        Command::Entrypoint(line) => ("ENTRYPOINT", command_line(line)),
        Command::Shell(words) => ("SHELL", serde_json::to_string(words).unwrap()),
        Command::User(word) => ("USER", word.text.clone()),
        Command::Workdir(word) => ("Workdir", word.text.clone()),
        Command::StopSignal(word) => ("STOPSIGNAL", word.text.clone()),
        Command::Maintainer(word) => ("MAINTAINER", word.text.clone()),
        Command::OnBuild(word) => ("ONBUILD", word.text.clone()),
        Command::Expose(words) => ("EXPOSE", joined(words)),
        Command::Volume(words) => ("VOLUME", joined(words)),
        Command::Healthcheck(check) => {
            let time = |name: &str, time: i64| match time {
                0 => String::new(),
                time => format!("--{name}={time}ns "),
            };
            let times = time("interval", check.interval) + &time("timeout", check.timeout);
            let line = check.command.as_ref().map(command_line).unwrap();
            let retries = check.retries;
            (
                "HEALTHCHECK",
                format!("{times}--retries={retries} CMD {line}"),
            )
        }
        Command::Copy(list) => ("COPY", copy(list, &mut bodies)),
        Command::Add(list) => ("ADD", copy(list, &mut bodies)),
    };
    (keyword, format!("{keyword} {rest}"), bodies)
}

/// What opens a heredoc.
pub fn head(heredoc: &Heredoc) -> String {
    let descriptor = match heredoc.descriptor {
        0 => String::new(),
        n => n.to_string(),
    };
    let dash = if heredoc.chomp { "-" } else { "" };
    let quote = if heredoc.expand { "" } else { "'" };
    format!("{descriptor}<<{dash}{quote}{}{quote}", heredoc.name)
}

fn body(heredoc: &Heredoc) -> String {
    format!("{}{}\n", heredoc.body, heredoc.name)
}

fn copy(copy: &Copy, bodies: &mut String) -> String {
    let switch = |name: &str, value: Option<bool>| match value {
        Some(value) => format!("--{name}={value} "),
        None => String::new(),
    };
    let mut text = flag("chown", copy.chown.as_ref());
    text += &flag("chmod", copy.chmod.as_ref());
    text += &flag("from", copy.from.as_ref());
    text += &flag("checksum", copy.checksum.as_ref());
    text += if copy.link { "--link " } else { "" };
    text += if copy.parents { "--parents=True " } else { "" };
    text += &switch("keep-git-dir", copy.keep_git_dir);
    text += &switch("unpack", copy.unpack);
    text += &flags("exclude", &copy.excludes);
    for source in &copy.sources {
        match source {
            CopySource::Path(word) => text += &word.text,
            CopySource::Heredoc(heredoc) => {
                text += &head(heredoc);
                *bodies += &body(heredoc);
            }
        }
        text += " ";
    }
    text + &copy.dest.text
}

fn pairs(pairs: &Pairs) -> String {
    let mark = if pairs.legacy { " " } else { "=" };
    let texts = pairs
        .pairs
        .iter()
        .map(|(name, value)| format!("{}{mark}{}", name.text, value.text));
    texts.collect::<Vec<_>>().join(" ")
}

fn command_line(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => text.clone(),
        CommandLine::Exec(words) => serde_json::to_string(words).unwrap(),
    }
}

fn flag(name: &str, value: Option<&Word>) -> String {
    value.map_or_else(String::new, |word| format!("--{name}={} ", word.text))
}

fn flags(name: &str, values: &[Word]) -> String {
    values.iter().map(|word| flag(name, Some(word))).collect()
}

fn joined(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(" ")
}
