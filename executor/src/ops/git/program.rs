//! Runs the `git` program: with nothing of the user's configuration, without questions, and with
//! no word of a Dockerfile in a place where it could be taken for an option.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use image::http::{split_login, without_password};
use solver::Cancel;

use crate::ops::Executor;
use crate::ops::error::OpError;

/// How often a cancellation is looked for.
const INTERVAL: Duration = Duration::from_millis(20);
/// The most of its output that is kept, in bytes.
const MAX_OUTPUT: u64 = 64 << 20;

/// Variables by which a git that rbuild itself was started from would lead ours astray.
const INHERITED: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_TEMPLATE_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_TRACE",
];

/// Configuration that every call gets.
const CONFIG: [(&str, &str); 16] = [
    // A repository's submodules cannot make git run programs or read the host's own repositories.
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    ("protocol.file.allow", "user"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.symlinks", "true"),
    ("core.autocrlf", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.protectHFS", "true"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("init.defaultBranch", "main"),
    ("advice.detachedHead", "false"),
];

/// A header that is sent to addresses that begin with something.
struct Header {
    scope: String,
    value: String,
}

/// Scheme and host of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

/// The program, for one remote.
pub struct Git<'a> {
    /// The remote, without user and password: it becomes an argument, and a line of `.git/config`.
    pub url: Cow<'a, str>,
    directory: &'a Path,
    cancel: &'a Cancel,
    /// Header that authorizes at the remote, never in an argument.
    header: Option<Header>,
    agent: Option<&'a Path>,
}

impl<'a> Git<'a> {
    /// Prepares calls in `directory`, which exists.
    pub fn new(
        url: &'a str,
        directory: &'a Path,
        executor: &'a Executor,
        cancel: &'a Cancel,
    ) -> Result<Self, OpError> {
        if url.starts_with('-') || url.contains("::") || url.contains('\0') {
            return Err(OpError::Git {
                url: url.to_owned(),
                reason: "this is no address of a repository".to_owned(),
            });
        }
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        let (url, login) = if is_http {
            split_login(url)
        } else {
            (without_password(url), None)
        };
        let login = login.map(|login| Header {
            // As if they stood in the addresses of its submodules too, which may be relative.
            scope: origin(&url).to_owned(),
            value: format!("Authorization: {login}"),
        });
        let header = executor.git_header(&url)?.map(|value| Header {
            scope: url.to_string(),
            value,
        });
        Ok(Self {
            url,
            directory,
            cancel,
            header: header.or(login),
            agent: executor
                .options
                .ssh_agents
                .get("default")
                .map(AsRef::as_ref),
        })
    }

    /// Runs one command in `directory` (relative to where the calls are made) and gives what it
    /// wrote. What it says when it fails becomes the error.
    pub fn run(&self, directory: &str, arguments: &[&str]) -> Result<Vec<u8>, OpError> {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.directory.join(directory))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .env("LC_ALL", "C");
        for name in INHERITED {
            command.env_remove(name);
        }
        if let Some(agent) = self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let config = CONFIG
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .chain(
                self.header
                    .as_ref()
                    .map(|header| (format!("http.{}.extraHeader", header.scope), &*header.value)),
            );
        let mut count = 0;
        for (name, value) in config {
            command.env(format!("GIT_CONFIG_KEY_{count}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        self.wait(&mut command)
    }

    /// A refusal of this remote.
    pub fn refused(&self, reason: impl Into<String>) -> OpError {
        OpError::Git {
            url: self.url.to_string(),
            reason: reason.into(),
        }
    }

    fn wait(&self, command: &mut Command) -> Result<Vec<u8>, OpError> {
        let broken = |error: io::Error| self.refused(error.to_string());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpError::NoGit,
            _ => broken(error),
        })?;
        let reader = |stream: Option<Box<dyn Read + Send>>| {
            std::thread::Builder::new().spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    // What cannot be read shows in the exit status.
                    let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
                bytes
            })
        };
        let out = reader(child.stdout.take().map(|s| Box::new(s) as _));
        let err = reader(child.stderr.take().map(|s| Box::new(s) as _));
        let (out, err) = match (out, err) {
            (Ok(out), Ok(err)) => (out, err),
            (Err(error), _) | (_, Err(error)) => {
                // One that has ended needs no killing.
                let _ = child.kill();
                let _ = child.wait();
                return Err(broken(error));
            }
        };
        let mut cancelled = false;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(broken)? {
                break status;
            }
            if !cancelled && self.cancel.is_cancelled() {
                cancelled = true;
                let group = rustix::process::Pid::from_child(&child);
                // A group that is gone needs no signal.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            std::thread::sleep(INTERVAL);
        };
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        if cancelled {
            return Err(OpError::Cancelled);
        }
        if status.success() {
            return Ok(out);
        }
        let said = String::from_utf8_lossy(&err);
        let said = said.trim();
        Err(self.refused(if said.is_empty() {
            format!("git ended with {status}")
        } else {
            said.to_owned()
        }))
    }
}
