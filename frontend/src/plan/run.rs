//! RUN: the process, its mounts, network and privileges.

use std::collections::BTreeMap;

use solver::VertexId;
use solver::op::{
    EnvOrigin, EnvVar, ExecMount, ExecOp, InlineFile, MountKind, NetworkMode, Op, SecurityMode,
    Sharing,
};

use super::error::PlanError;
use super::gotext::quoted;
use super::mounts::{self, Kind, Mount};
use super::paths;
use super::stages::{SCRATCH, Source};
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
                .map(|word| device(&word.text))
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

    /// The mounts as a step has them; their sources are added to `inputs`.
    fn mounts(
        &mut self,
        mounts: &[Mount],
        sources: &[Source],
        inputs: &mut Vec<VertexId>,
        env: &mut Vec<EnvVar>,
    ) -> Result<Vec<ExecMount>, PlanError> {
        let cwd = self.state.cwd();
        let mut made = Vec::with_capacity(mounts.len());
        let mut sockets = 0;
        for (position, mount) in mounts.iter().enumerate() {
            let source = sources.get(position).copied().unwrap_or(Source::Default);
            if matches!(source, Source::Stage(_)) && self.lowering.source(source)?.is_none() {
                return Err(PlanError::new(format!(
                    "cannot mount from stage {} to {}, stage needs to be defined before current command",
                    quoted(&mount.from),
                    quoted(&mount.target)
                )));
            }
            let mut target = paths::join(&cwd, &mount.target);
            let kind = match mount.kind {
                Kind::Bind => MountKind::Bind {
                    input: self.input(source, inputs)?,
                    source: paths::inside(&mount.source),
                },
                Kind::Cache => self.cache(mount, source, inputs)?,
                Kind::Tmpfs => MountKind::Tmpfs { size: mount.size },
                Kind::Secret => {
                    let secret = secret(mount);
                    if mount.target.is_empty()
                        && let MountKind::Secret { id, .. } = &secret
                    {
                        target = paths::join("/run/secrets", paths::base(id));
                    }
                    secret
                }
                Kind::Ssh => {
                    if mount.target.is_empty() {
                        target = format!("/run/buildkit/ssh_agent.{sockets}");
                    }
                    if sockets == 0 && self.state.variables.get("SSH_AUTH_SOCK").is_none() {
                        env.push(EnvVar {
                            name: "SSH_AUTH_SOCK".to_owned(),
                            value: target.clone(),
                            origin: EnvOrigin::Env,
                        });
                    }
                    sockets += 1;
                    ssh(mount)
                }
            };
            if target == "/" {
                return Err(
                    PlanError::new(format!("invalid mount target {}", quoted(&target)))
                        .help("give the mount a target below the root directory"),
                );
            }
            made.push(ExecMount {
                target,
                kind,
                readonly: mount.readonly,
            });
        }
        Ok(made)
    }

    /// The position of `source` among `inputs`.
    pub(super) fn input(
        &mut self,
        source: Source,
        inputs: &mut Vec<VertexId>,
    ) -> Result<usize, PlanError> {
        let Some(id) = self.lowering.source(source)? else {
            return Err(PlanError::new("a stage is read before it is built"));
        };
        Ok(position(inputs, id))
    }

    fn cache(
        &mut self,
        mount: &Mount,
        source: Source,
        inputs: &mut Vec<VertexId>,
    ) -> Result<MountKind, PlanError> {
        let build_args = &self.lowering.scope.build_args;
        let namespace = build_args
            .get("BUILDKIT_CACHE_MOUNT_NS")
            .unwrap_or_default();
        let id = match mount.id.as_str() {
            "" => format!("{namespace}/{}", paths::clean(&mount.target)),
            id => format!("{namespace}/{id}"),
        };
        let from = match source {
            Source::Default => None,
            _ if mount.from == SCRATCH => None,
            _ => Some(self.input(source, inputs)?),
        };
        let directory = paths::inside(&mount.source);
        // A directory of the seed keeps its owner and mode.
        let is_whole = directory == ".";
        Ok(MountKind::Cache {
            id,
            sharing: mount.sharing.unwrap_or(Sharing::Shared),
            from,
            source: directory,
            uid: mount.uid.filter(|_| is_whole).unwrap_or(0),
            gid: mount.gid.filter(|_| is_whole).unwrap_or(0),
            mode: mount.mode.filter(|_| is_whole).unwrap_or(0o755),
        })
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

/// `--device=[name=]NAME[,required]`.
fn device(text: &str) -> Result<String, PlanError> {
    let mut name = None;
    for field in mounts::fields(text)? {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        match key.to_lowercase().as_str() {
            "required" => {
                if super::parse_bool(value).is_none() {
                    let message = format!("invalid value for required: {value}");
                    return Err(PlanError::new(message));
                }
            }
            "name" if name.is_none() => name = Some(value.to_owned()),
            "name" => return Err(PlanError::new("device name already set")),
            _ if name.is_none() => name = Some(field.to_string()),
            key => {
                return Err(PlanError::new(format!(
                    "unexpected key '{key}' in '{field}'"
                )));
            }
        }
    }
    name.ok_or_else(|| PlanError::new(format!("device name is missing in '{text}'")))
}

/// The position of `id` among `inputs`; the root file system, which is the first, stands alone.
pub(super) fn position(inputs: &mut Vec<VertexId>, id: VertexId) -> usize {
    if let Some(known) = inputs.iter().skip(1).position(|input| *input == id) {
        return known + 1;
    }
    inputs.push(id);
    inputs.len() - 1
}

fn secret(mount: &Mount) -> MountKind {
    let id = match (mount.id.as_str(), mount.source.as_str()) {
        ("", "") => paths::base(&mount.target),
        (id, "") => id,
        (_, source) => source,
    };
    MountKind::Secret {
        id: id.to_owned(),
        env: mount.env.clone(),
        file: mount.env.is_none() || !mount.target.is_empty(),
        required: mount.required,
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        mode: mount.mode.unwrap_or(0o400),
    }
}

fn ssh(mount: &Mount) -> MountKind {
    MountKind::Ssh {
        id: if mount.id.is_empty() {
            "default"
        } else {
            &mount.id
        }
        .to_owned(),
        required: mount.required,
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
        mode: mount.mode.unwrap_or(0o600),
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
