//! RUN: the process, its mounts, network and privileges.

use std::collections::BTreeMap;

use solver::op::{EnvVar, ExecOp, InlineFile, NetworkMode, Op, SecurityMode};

use super::error::PlanError;
use super::gotext::quoted;
use super::mounts;
use super::paths;
use super::stages::Source;
use super::work::Work;
use crate::expansion::Variables;
use crate::instruction::{CommandLine, Instruction, Run};

const DEFAULT_HOSTNAME: &str = "buildkitsandbox";
const PIPES: &str = "/dev/pipes";
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What a RUN starts.
struct Process {
    /// As history shows it, and for the shell form as the process gets it.
    args: Vec<String>,
    scripts: Vec<InlineFile>,
    /// What the progress adds to the instruction.
    summary: String,
}

impl Work<'_, '_> {
    pub(super) fn run(
        &mut self,
        run: &Run,
        instruction: &Instruction,
        sources: &[Source],
    ) -> Result<(), PlanError> {
        let process = self.process(run)?;
        if process.args.is_empty() {
            return Err(PlanError::new("arguments are required"));
        }
        let mut parsed = Vec::with_capacity(run.mounts.len());
        for mount in &run.mounts {
            parsed.push(mounts::parse(&mount.text, |value| self.expand(value))?);
        }
        let mut inputs = vec![self.state.root];
        let mut env = self.step_env()?;
        let mounts = self.mounts(&parsed, sources, &mut inputs, &mut env)?;
        let shown = format!("{}{}", instruction.original.trim(), process.summary);
        let masked = Masked {
            secrets: parsed
                .iter()
                .filter_map(|mount| mount.env.as_deref())
                .collect(),
            variables: &self.state.variables,
        };
        let shown = self.shown_command(&shown, &masked);
        let created_by = self.history_text(&process.args);
        let scope = self.lowering.scope;
        let request = scope.request;
        let proxies = scope.proxies.iter();
        let op = ExecOp {
            env,
            proxy_env: proxies
                .filter(|(name, _)| self.state.variables.get(name).is_none())
                .cloned()
                .collect(),
            args: process.args,
            cwd: self.state.cwd(),
            user: self.state.user().to_owned(),
            hostname: match scope.build_args.get("BUILDKIT_SANDBOX_HOSTNAME") {
                None | Some("") => DEFAULT_HOSTNAME.to_owned(),
                Some(name) => name.to_owned(),
            },
            network: self.network(run)?,
            security: self.security(run)?,
            mounts,
            scripts: process.scripts,
            extra_hosts: request.extra_hosts.clone(),
            ulimits: request.ulimits.clone(),
            shm_size: request.shm_size,
            cgroup_parent: request.cgroup_parent.clone(),
            devices: run
                .devices
                .iter()
                .map(|word| super::device::parse(&word.text))
                .collect::<Result<_, _>>()?,
            platform: self.state.platform.clone(),
        };
        let name = self.numbered(&shown);
        self.state.root = self.add(Op::Exec(op), inputs, name, self.forced);
        self.commit(created_by, false)
    }

    /// Program and arguments, the shell included.
    fn process(&self, run: &Run) -> Result<Process, PlanError> {
        let plain = |args| {
            Ok(Process {
                args,
                scripts: Vec::new(),
                summary: String::new(),
            })
        };
        let text = match &run.command {
            CommandLine::Exec(args) => return plain(args.clone()),
            CommandLine::Shell(text) => text,
        };
        let Some(first) = run.heredocs.first() else {
            return plain(self.with_shell(text));
        };
        if !is_one_heredoc(text) {
            // The shell reads the documents itself.
            let mut line = text.clone();
            for heredoc in &run.heredocs {
                line.push('\n');
                line.push_str(&heredoc.body);
                line.push_str(&heredoc.name);
            }
            return plain(self.with_shell(&line));
        }
        let content = first.content();
        let summary = format!(" ({})", summary(&first.body));
        if !content.starts_with("#!") || self.state.image.os == "windows" {
            return Ok(Process {
                args: self.with_shell(&content),
                scripts: Vec::new(),
                summary,
            });
        }
        Ok(Process {
            args: self.with_shell(&paths::join(PIPES, &first.name)),
            scripts: vec![InlineFile {
                name: first.name.clone(),
                data: content.into_owned(),
            }],
            summary,
        })
    }

    /// `text` as an argument of the stage's shell.
    pub(super) fn with_shell(&self, text: &str) -> Vec<String> {
        let shell = self.state.image.config.shell.as_deref();
        let mut args = match shell {
            Some(shell) if !shell.is_empty() => shell.to_vec(),
            _ => DEFAULT_SHELL.map(str::to_owned).to_vec(),
        };
        args.push(text.to_owned());
        args
    }

    fn step_env(&self) -> Result<Vec<EnvVar>, PlanError> {
        let variables = &self.state.variables;
        self.lowering.scope.budget.spend(variables.bytes())?;
        Ok(variables.for_step())
    }

    fn network(&self, run: &Run) -> Result<NetworkMode, PlanError> {
        let request = self.lowering.scope.request;
        let network = match run.network.as_ref().map(|word| word.text.as_str()) {
            None | Some("default") => return Ok(request.network.unwrap_or(NetworkMode::Default)),
            Some("none") => NetworkMode::None,
            Some("host") => NetworkMode::Host,
            Some(other) => {
                let message = format!("invalid network mode {}", quoted(other));
                return Err(PlanError::new(message).help("use default, none or host"));
            }
        };
        let allowed = request.allow_host_network || request.network == Some(NetworkMode::Host);
        if network == NetworkMode::Host && !allowed {
            return Err(PlanError::new("network.host is not allowed")
                .help("allow it with --allow network.host"));
        }
        Ok(network)
    }

    fn security(&self, run: &Run) -> Result<SecurityMode, PlanError> {
        match run.security.as_ref().map(|word| word.text.as_str()) {
            None | Some("sandbox") => Ok(SecurityMode::Sandbox),
            Some("insecure") if self.lowering.scope.request.allow_insecure => {
                Ok(SecurityMode::Insecure)
            }
            Some("insecure") => Err(PlanError::new("security.insecure is not allowed")
                .help("allow it with --allow security.insecure")),
            Some(other) => Err(
                PlanError::new(format!("security {} is not valid", quoted(other)))
                    .help("use sandbox or insecure"),
            ),
        }
    }

    /// `RUN |2 A=1 B=2 /bin/sh -c … # buildkit`
    fn history_text(&self, args: &[String]) -> String {
        let mut order: Vec<&str> = Vec::new();
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in self.state.args.iter() {
            let value = self.state.variables.get(name).or(value.as_deref());
            if values.insert(name, value.unwrap_or_default()).is_none() {
                order.push(name);
            }
        }
        let mut text = String::from("RUN ");
        if !order.is_empty() {
            text.push_str(&format!("|{} ", order.len()));
        }
        for name in order {
            text.push_str(name);
            text.push('=');
            text.push_str(values[name]);
            text.push(' ');
        }
        text.push_str(&args.join(" "));
        text.push_str(" # buildkit");
        text
    }
}

/// Whether a command is a heredoc and nothing else: `<<EOF`, `3<<-"EOF"`.
fn is_one_heredoc(text: &str) -> bool {
    let text = text.trim();
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = rest.strip_prefix("<<") else {
        return false;
    };
    let word = rest.strip_prefix('-').unwrap_or(rest).trim_start();
    if word.is_empty() || word.contains('<') {
        return false;
    }
    let mut quote = None;
    for c in word.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, c) if c.is_whitespace() => return false,
            _ => {}
        }
    }
    true
}

/// The first line of a document.
fn summary(body: &str) -> String {
    let mut lines = body.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        format!("{first}...")
    } else {
        first.to_owned()
    }
}

/// Variables of which some are secrets.
struct Masked<'v> {
    secrets: Vec<&'v str>,
    variables: &'v dyn Variables,
}

impl Variables for Masked<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        if self.secrets.contains(&name) {
            return Some("****");
        }
        self.variables.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_heredoc_alone_is_a_script() {
        for text in ["<<EOF", "<<-EOF", "3<<'E O F'", "<< EOF", "<<\"EOF\""] {
            assert!(is_one_heredoc(text), "{text}");
        }
        for text in ["<<EOF bash", "cat <<EOF", "<<A <<B", "<<", "echo"] {
            assert!(!is_one_heredoc(text), "{text}");
        }
        assert_eq!(summary("\n a\nb\n"), "a...");
        assert_eq!(summary("a\n"), "a");
    }
}
