//! Arguments of a build to what the frontend and the executor ask for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use executor::cdi::Allowed;
use executor::ops::SecretSource;
use frontend::plan::{NamedContext, PlanRequest};
use image::Platform;
use solver::op::NetworkMode;

use crate::cli::check::CheckArgs;
use crate::cli::plan::PlanArgs;
use crate::cli::value::{Pair, SecretPlace};
use crate::devices::Devices;
use crate::project::place::Place;
use crate::report::{Class, Failure};

/// Everything that a build is told by its arguments and the environment.
pub struct Request {
    /// What the frontend needs.
    pub plan: PlanRequest,
    /// Directories of `--build-context`, by name.
    pub directories: BTreeMap<String, PathBuf>,
    /// Archives of `--build-context`, by name.
    pub archives: BTreeMap<String, PathBuf>,
    /// `--secret`.
    pub secrets: HashMap<String, SecretSource>,
    /// `--ssh`.
    pub ssh_agents: HashMap<String, PathBuf>,
    /// `--allow device` and where devices are described.
    pub devices: Devices,
}

impl Request {
    /// Reads the arguments, and of the environment what they refer to.
    pub fn new(args: &PlanArgs) -> Result<Self, Failure> {
        let Contexts {
            named: named_contexts,
            directories,
            archives,
        } = Contexts::read(&args.build_contexts)?;
        let mut plan = PlanRequest {
            target: args.target.clone(),
            platforms: platforms(&args.platforms)?,
            build_args: build_args(&args.build_args)?,
            labels: args
                .labels
                .iter()
                .map(|label| (label.name.clone(), label.value.clone()))
                .collect(),
            named_contexts,
            no_cache: args.no_cache,
            no_cache_filter: args.no_cache_filter.clone(),
            network: match args.network.as_str() {
                "none" => Some(NetworkMode::None),
                "host" => Some(NetworkMode::Host),
                _ => None,
            },
            extra_hosts: args
                .extra_hosts
                .iter()
                .map(|extra| (extra.host.clone(), extra.address.clone()))
                .collect(),
            ulimits: args.ulimits.clone(),
            cgroup_parent: args.cgroup_parent.clone(),
            shm_size: args.shm_size,
            now: crate::time::now(),
            ..PlanRequest::default()
        };
        let mut devices = Devices {
            allowed: Allowed::default(),
            directories: args.cdi_spec_dirs.clone(),
        };
        for given in &args.allow {
            allow(given, &mut plan, &mut devices)?;
        }
        Ok(Self {
            plan,
            directories,
            archives,
            secrets: secrets(args)?,
            ssh_agents: ssh_agents(args)?,
            devices,
        })
    }
}

/// Reads an `--allow`: entitlements with commas between them, of which that of a device by its name
/// takes all that follows.
fn allow(text: &str, plan: &mut PlanRequest, devices: &mut Devices) -> Result<(), Failure> {
    let (first, rest) = match text.split_once(',') {
        Some((first, rest)) if !first.starts_with("device=") => (first, Some(rest)),
        _ => (text, None),
    };
    let possible = "network.host, security.insecure and device[=NAME[,alias=ALIAS]] can be allowed";
    match first.strip_prefix("device") {
        Some(named) if named.is_empty() || named.starts_with('=') => {
            let added = devices.allowed.add(named);
            added.map_err(|error| Failure::from_error(Class::Yours, &error).help(possible))?;
        }
        _ => match first {
            "network.host" => plan.allow_host_network = true,
            "security.insecure" => plan.allow_insecure = true,
            other => {
                let title = format!("--allow {other} is not done");
                return Err(Failure::new(Class::Yours, title).help(possible));
            }
        },
    }
    rest.map_or(Ok(()), |rest| allow(rest, plan, devices))
}

/// What the frontend needs for a check that no build's arguments come with: every entitlement is
/// granted.
pub fn of_check(args: &CheckArgs) -> Result<PlanRequest, Failure> {
    let named_contexts = Contexts::read(&args.build_contexts)?.named;
    Ok(PlanRequest {
        target: args.target.clone(),
        platforms: platforms(&args.platforms)?,
        build_args: build_args(&args.build_args)?,
        named_contexts,
        allow_host_network: true,
        allow_insecure: true,
        now: crate::time::now(),
        ..PlanRequest::default()
    })
}

/// `NAME=VALUE` as it is; `NAME` from the environment, or not at all; and the environment's
/// SOURCE_DATE_EPOCH, which reproducible builds are told of so.
fn build_args(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut arguments = Vec::new();
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        arguments.push(("SOURCE_DATE_EPOCH".to_owned(), epoch));
    }
    for argument in given {
        match argument.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::new(
                    Class::Yours,
                    format!("--build-arg {argument}: the name is missing"),
                ));
            }
            Some((name, value)) => arguments.push((name.to_owned(), value.to_owned())),
            None => {
                if let Ok(value) = std::env::var(argument) {
                    arguments.push((argument.clone(), value));
                }
            }
        }
    }
    Ok(arguments)
}

/// `--platform` values.
pub fn platforms(given: &[String]) -> Result<Vec<Platform>, Failure> {
    given
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|error| Failure::from_error(Class::Yours, &error as &image::PlatformError))
        })
        .collect()
}

/// `--build-context`.
#[derive(Default)]
struct Contexts {
    named: BTreeMap<String, NamedContext>,
    directories: BTreeMap<String, PathBuf>,
    archives: BTreeMap<String, PathBuf>,
}

impl Contexts {
    fn read(given: &[Pair]) -> Result<Self, Failure> {
        let mut contexts = Self::default();
        for pair in given {
            let name = pair.name.to_lowercase();
            let value = pair.value.as_str();
            contexts.directories.remove(&name);
            contexts.archives.remove(&name);
            let context = if let Some(image) = value.strip_prefix("docker-image://") {
                NamedContext::Image(image.to_owned())
            } else if let Some(layout) = value.strip_prefix("oci-layout://") {
                NamedContext::Layout(layout.to_owned())
            } else {
                match Place::of(value, &[])? {
                    Place::Remote(_, url) => NamedContext::Url(url),
                    Place::Directory(dir) if dir.is_dir() => {
                        contexts.directories.insert(name.clone(), dir);
                        NamedContext::Directory
                    }
                    Place::Archive(file) => {
                        contexts.archives.insert(name.clone(), file);
                        NamedContext::Directory
                    }
                    Place::Directory(_) => {
                        return Err(Failure::new(
                            Class::Yours,
                            format!("--build-context {name}: {value} is not a directory"),
                        ));
                    }
                    Place::Stdin => {
                        return Err(Failure::new(
                            Class::Yours,
                            format!("--build-context {name}=-: only PATH can be standard input"),
                        ));
                    }
                }
            };
            contexts.named.insert(name, context);
        }
        Ok(contexts)
    }
}

fn secrets(args: &PlanArgs) -> Result<HashMap<String, SecretSource>, Failure> {
    let mut secrets = HashMap::new();
    for secret in &args.secrets {
        let from_env =
            |name: &str| std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec);
        let source = match &secret.place {
            SecretPlace::File(path) => file_secret(&secret.id, path)?,
            SecretPlace::Env(name) => SecretSource::Value(from_env(name).ok_or_else(|| {
                Failure::new(
                    Class::Yours,
                    format!("--secret {}: the variable {name} is not set", secret.id),
                )
            })?),
            SecretPlace::Named => match from_env(&secret.id) {
                Some(value) => SecretSource::Value(value),
                None => file_secret(&secret.id, secret.id.as_ref())?,
            },
        };
        secrets.insert(secret.id.clone(), source);
    }
    Ok(secrets)
}

fn file_secret(id: &str, path: &std::path::Path) -> Result<SecretSource, Failure> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(SecretSource::File(path.to_owned())),
        Ok(_) => Err(Failure::new(
            Class::Yours,
            format!("--secret {id}: {} is not a file", path.display()),
        )),
        Err(error) => {
            let mut failure = Failure::new(
                Class::Yours,
                format!("--secret {id}: cannot read {}", path.display()),
            );
            failure.causes = vec![error.to_string()];
            Err(failure)
        }
    }
}

fn ssh_agents(args: &PlanArgs) -> Result<HashMap<String, PathBuf>, Failure> {
    let mut agents = HashMap::new();
    for agent in &args.ssh {
        let socket = match &agent.socket {
            Some(socket) => socket.clone(),
            None => std::env::var_os("SSH_AUTH_SOCK")
                .map(PathBuf::from)
                .ok_or_else(|| {
                    Failure::new(
                        Class::Yours,
                        format!("--ssh {}: there is no agent", agent.id),
                    )
                    .help("start one (`eval $(ssh-agent)`), or give its socket: --ssh ID=SOCKET")
                })?,
        };
        let is_socket = std::fs::metadata(&socket)
            .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
        if !is_socket {
            return Err(Failure::new(
                Class::Yours,
                format!(
                    "--ssh {}: {} is not the socket of an agent",
                    agent.id,
                    socket.display()
                ),
            )
            .help("keys in files are not done; load them into an agent with ssh-add"));
        }
        agents.insert(agent.id.clone(), socket);
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entitlements_are_read() {
        let read = |text: &str| {
            let (mut plan, mut devices) = (PlanRequest::default(), Devices::default());
            allow(text, &mut plan, &mut devices)?;
            let both = (plan.allow_host_network, plan.allow_insecure);
            Ok::<_, Failure>((both, devices.allowed))
        };
        let devices = |texts: &[&str]| {
            let mut allowed = Allowed::default();
            for text in texts {
                allowed.add(text).unwrap();
            }
            allowed
        };
        let none = Allowed::default;
        for (text, wanted) in [
            ("network.host", ((true, false), none())),
            ("security.insecure,network.host", ((true, true), none())),
            ("device,network.host", ((true, false), devices(&[""]))),
            (
                "device=v/c=x,alias=y",
                ((false, false), devices(&["=v/c=x,alias=y"])),
            ),
            (
                "network.host,device=v/c=x,alias=y",
                ((true, false), devices(&["=v/c=x,alias=y"])),
            ),
        ] {
            assert_eq!(read(text).unwrap(), wanted, "{text}");
        }
        for wrong in [
            "",
            "devices",
            "network.host,",
            "device=,x",
            "device=v/c=x,network.host",
        ] {
            let failure = read(wrong).unwrap_err();
            assert!(
                failure
                    .help
                    .iter()
                    .any(|help| help.contains("device[=NAME")),
                "{wrong}"
            );
        }
    }
}
