//! `rbuild run`: a container in the foreground.

use std::io::{IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use executor::container::hosts::{hosts, resolv_conf};
use executor::container::spec::{
    ContainerSpec, Mount, MountSource, Network, Process, Propagation, Resources, RootFs, Security,
    Upper,
};
use executor::container::{
    Attachments, ContainerError, Exit, LaunchOptions, Launcher, Running, Stdio,
};
use frontend::plan::{ImageName, ImageResolver};
use image::{ImageConfig, Platform};

use crate::cli::build::Progress as Mode;
use crate::cli::container::RunArgs;
use crate::home::{Home, store_failure};
use crate::images::{Images, load_host, resolved, settle, snapshot};
use crate::progress::Progress;
use crate::report::{Class, Failure};
use crate::stop::Signals;
use crate::terminal::{Attached, resize};
use signal_hook::consts::{SIGINT, SIGTERM, SIGWINCH};

/// Docker's code for what went wrong before the process.
const ENGINE: Class = Class::Container(125);
/// /dev/shm, as Docker has it.
const SHM_SIZE: u64 = 64 << 20;

/// The request to stop that is not passed on any more but kills the container, as Docker has it.
const INSISTING: u32 = 3;

/// Starts the container, waits, and gives its exit code.
pub fn run(args: &RunArgs, home: &Home) -> anyhow::Result<u8> {
    Ok(start(args, home).map_err(|mut failure| {
        if !matches!(failure.class, Class::Container(_) | Class::Interrupted) {
            failure.class = ENGINE;
        }
        failure
    })?)
}

fn start(args: &RunArgs, home: &Home) -> Result<u8, Failure> {
    refuse(args)?;
    let stdin = std::io::stdin();
    if args.flags.process.tty && args.flags.process.interactive && !stdin.is_terminal() {
        return Err(Failure::new(ENGINE, "the input device is not a TTY").help("leave out -t"));
    }
    let volumes = args
        .flags
        .files
        .volumes
        .iter()
        .map(|text| volume(text))
        .collect::<Result<Vec<_>, _>>()?;
    let store = home.enter_and_open()?;
    let cancel = Signals::take();
    let progress = Progress::new(if std::io::stderr().is_terminal() {
        Mode::Auto
    } else {
        Mode::Quiet
    });
    let images = Images::new(&store, args.flags.whole.pull == "always", &cancel.asked());
    let platform = Platform::host();
    settle(&store, &args.flags.words[0], &cancel.asked()).map_err(|error| error.failure())?;
    let image = match store.image(&args.flags.words[0]) {
        Ok(known) if args.flags.whole.pull != "always" => {
            resolved(&known, load_host(&store, &known)?)
        }
        _ if args.flags.whole.pull == "never" => {
            return Err(Failure::new(
                ENGINE,
                format!("No such image: {}", args.flags.words[0]),
            ));
        }
        _ => images
            .resolve(
                &ImageName::Reference(args.flags.words[0].clone()),
                &platform,
            )
            .map_err(|error| {
                let failure = Failure::new(ENGINE, error.message);
                match error.help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            })?,
    };
    let (stack, _pins) = snapshot(&images, &image, &progress, &cancel.asked())?;
    progress.finish();
    let folder = Folder::new(&store, args.flags.whole.name.as_deref())?;
    let spec = spec(
        args,
        &image.config,
        &folder,
        &volumes,
        stack.layers.iter().map(|id| store.layer_fs(id)).collect(),
    )?;
    let extra = extra_hosts(args)?;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let attachments = Attachments {
        contents: vec![
            hosts(&spec.hostname, &extra, spec.network)
                .map_err(|error| Failure::from_error(ENGINE, &error))?
                .into_bytes(),
            resolv_conf(spec.network, read).into_bytes(),
            format!("{}\n", spec.hostname).into_bytes(),
        ],
        ..Attachments::default()
    };
    let launcher = Launcher::start(&LaunchOptions {
        store_root: store.root().to_owned(),
        host_sources: volumes.iter().map(|volume| volume.host.clone()).collect(),
        program: None,
    })
    .map_err(|error| container_failure(&error))?;
    let stdio = if args.flags.process.tty {
        Stdio::Terminal
    } else if args.flags.process.interactive {
        Stdio::Inherit
    } else {
        Stdio::Given(without_input().map_err(|error| Failure::from_error(ENGINE, &error))?)
    };
    let running = launcher
        .run(&spec, attachments, stdio)
        .map_err(|error| container_failure(&error))?;
    let exit = attend(running, args, &cancel)?;
    drop(launcher);
    drop(folder);
    Ok(u8::try_from(exit.status.code()).unwrap_or(1))
}

/// Host or none, until there are more.
fn network(args: &RunArgs) -> &str {
    args.flags
        .network
        .networks
        .last()
        .map_or("host", String::as_str)
}

fn extra_hosts(args: &RunArgs) -> Result<Vec<(String, String)>, Failure> {
    let hosts = args.flags.network.extra_hosts.iter();
    hosts
        .map(|text| {
            text.parse::<crate::cli::value::ExtraHost>()
                .map(|extra| (extra.host, extra.address))
                .map_err(|error| {
                    Failure::new(ENGINE, format!("invalid --add-host {text}: {error}"))
                })
        })
        .collect()
}

fn refuse(args: &RunArgs) -> Result<(), Failure> {
    let unfinished = [
        (args.detach, "-d, --detach"),
        (!args.flags.network.publish.is_empty(), "-p, --publish"),
    ];
    if !matches!(network(args), "host" | "none") {
        return Err(Failure::new(
            ENGINE,
            format!("--network={} is not done yet", network(args)),
        ));
    }
    for (given, flag) in unfinished {
        if given {
            return Err(Failure::new(ENGINE, format!("{flag} is not done yet"))
                .help("containers run in the foreground and are removed when they end"));
        }
    }
    Ok(())
}

fn spec(
    args: &RunArgs,
    config: &ImageConfig,
    folder: &Folder,
    volumes: &[Volume],
    lower: Vec<PathBuf>,
) -> Result<ContainerSpec, Failure> {
    let config = &config.config;
    let mut command = match &args.flags.process.entrypoint {
        Some(program) if program.is_empty() => Vec::new(),
        Some(program) => vec![program.clone()],
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    if args.flags.words.len() == 1 && args.flags.process.entrypoint.is_none() {
        command.extend(config.cmd.clone().unwrap_or_default());
    }
    command.extend(args.flags.words.iter().skip(1).cloned());
    if command.is_empty() {
        return Err(Failure::new(ENGINE, "no command specified")
            .help("the image has none: give one after its name"));
    }
    let hostname = args.flags.network.hostname.clone().unwrap_or_else(|| {
        if network(args) == "none" {
            folder.short_id().to_owned()
        } else {
            host_name().unwrap_or_else(|| folder.short_id().to_owned())
        }
    });
    let mut mounts: Vec<Mount> = volumes
        .iter()
        .map(|volume| Mount {
            target: volume.target.clone(),
            source: MountSource::Host(volume.host.clone()),
            readonly: volume.readonly,
            nosuid: false,
            noexec: false,
            propagation: Propagation::Private,
        })
        .collect();
    for (index, target) in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]
        .into_iter()
        .enumerate()
    {
        mounts.push(Mount {
            target: target.to_owned(),
            source: MountSource::Content {
                index,
                uid: 0,
                gid: 0,
                mode: 0o644,
            },
            readonly: false,
            nosuid: false,
            noexec: false,
            propagation: Propagation::Private,
        });
    }
    Ok(ContainerSpec {
        root: RootFs {
            lower,
            upper: Some(Upper {
                fs: folder.path("fs"),
                work: folder.path("work"),
            }),
            volatile: false,
            readonly: args.flags.files.read_only,
        },
        mounts,
        process: Process {
            args: command,
            env: environment(args, config, &hostname)?,
            cwd: args.flags.process.workdir.clone().unwrap_or_else(|| {
                if config.working_dir.is_empty() {
                    "/".to_owned()
                } else {
                    config.working_dir.clone()
                }
            }),
            user: args
                .flags
                .process
                .user
                .clone()
                .unwrap_or_else(|| config.user.clone()),
            terminal: args.flags.process.tty,
            ulimits: args.flags.process.ulimits.clone(),
            ..Process::default()
        },
        hostname,
        network: if network(args) == "none" {
            Network::None
        } else {
            Network::Host
        },
        security: Security::default(),
        resources: Resources::default(),
        cgroup_parent: None,
        shm_size: SHM_SIZE,
        ..ContainerSpec::default()
    })
}

/// The image's variables, then those of files, then those of flags; a later one replaces an earlier.
fn environment(
    args: &RunArgs,
    config: &image::ContainerConfig,
    hostname: &str,
) -> Result<Vec<String>, Failure> {
    let mut variables: Vec<(String, Option<String>)> = Vec::new();
    let mut set = |name: &str, value: Option<String>| match variables
        .iter_mut()
        .find(|(known, _)| known == name)
    {
        Some(entry) => entry.1 = value,
        None => variables.push((name.to_owned(), value)),
    };
    set(
        "PATH",
        Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
    );
    set("HOSTNAME", Some(hostname.to_owned()));
    if args.flags.process.tty {
        set("TERM", Some("xterm".to_owned()));
    }
    let mut given = config.env.clone();
    for file in &args.flags.process.env_files {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let mut failure = Failure::new(
                ENGINE,
                format!("cannot read the env file {}", file.display()),
            );
            failure.causes = vec![error.to_string()];
            failure
        })?;
        given.extend(
            text.lines()
                .map(str::trim_start)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    given.extend(args.flags.process.env.iter().cloned());
    for variable in given {
        match variable.split_once('=') {
            Some((name, value)) if !name.is_empty() => set(name, Some(value.to_owned())),
            Some(_) => {
                return Err(Failure::new(
                    ENGINE,
                    format!("invalid environment variable: {variable}"),
                ));
            }
            // Without a value it is the caller's, and not there if the caller has none.
            None => set(&variable, std::env::var(&variable).ok()),
        }
    }
    Ok(variables
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
        .collect())
}

/// Stays with a container until it ends: passes on signals, and the terminal if there is one.
fn attend(mut running: Running, args: &RunArgs, signals: &Signals) -> Result<Exit, Failure> {
    let killer = running.killer();
    if !args.flags.process.tty {
        let mut asked = 0;
        signals.forward(move |signal| match signal {
            SIGWINCH => {}
            // The kernel drops what a first process has no handler for: whoever insists means it.
            SIGINT | SIGTERM => {
                asked += 1;
                if asked >= INSISTING {
                    killer.kill();
                } else {
                    killer.signal(signal);
                }
            }
            signal => killer.signal(signal),
        });
        return running
            .wait(&|| false, &mut |_, _| {})
            .map_err(|error| container_failure(&error));
    }
    let master = running
        .take_terminal()
        .map_err(|error| container_failure(&error))?;
    let master =
        master.ok_or_else(|| Failure::new(Class::Ours, "a container with a terminal has none"))?;
    let mut attached = Attached::new(&master, args.flags.process.interactive)
        .map_err(|error| Failure::from_error(ENGINE, &error))?;
    signals.forward(move |signal| match signal {
        SIGWINCH => resize(&master),
        signal => killer.signal(signal),
    });
    let exit = running.wait(&|| false, &mut |_, _| {});
    attached.drain();
    exit.map_err(|error| container_failure(&error))
}

fn container_failure(error: &ContainerError) -> Failure {
    let class = error
        .exit_status()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ENGINE, Class::Container);
    Failure::from_error(class, error)
}

/// `/dev/null` for input, and the caller's own output.
fn without_input() -> std::io::Result<[OwnedFd; 3]> {
    Ok([
        std::fs::File::open("/dev/null")?.into(),
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ])
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A `-v`.
struct Volume {
    host: PathBuf,
    target: String,
    readonly: bool,
}

fn volume(text: &str) -> Result<Volume, Failure> {
    let fail = |why: &str| {
        Failure::new(
            ENGINE,
            format!("invalid volume specification `{text}`: {why}"),
        )
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (host, target, options) = match parts.as_slice() {
        [host, target] => (*host, *target, ""),
        [host, target, options] => (*host, *target, *options),
        _ => {
            return Err(fail("use HOST:CONTAINER[:ro]")
                .help("volumes with a name, or without one, are not done yet"));
        }
    };
    if !target.starts_with('/') {
        return Err(fail("the path in the container must be absolute"));
    }
    if !host.starts_with('/') && !host.starts_with('.') {
        return Err(
            fail("volumes with a name are not done yet").help("give an absolute path of the host")
        );
    }
    let mut readonly = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => readonly = true,
            "rw" | "z" | "Z" => {}
            other => return Err(fail(&format!("the option {other} is not done"))),
        }
    }
    let host = std::path::absolute(host).map_err(|error| fail(&error.to_string()))?;
    if !host.exists() {
        // As docker does for a bind by -v.
        std::fs::create_dir_all(&host).map_err(|error| fail(&error.to_string()))?;
    }
    Ok(Volume {
        host,
        target: target.to_owned(),
        readonly,
    })
}

/// A container's folder in the store: what it changes. Removed when it ends, however it ends.
struct Folder {
    relative: PathBuf,
    /// Swept by the next process if this one is killed.
    _staging: cache::Staging,
    _name: Option<Name>,
    id: String,
}

impl Folder {
    fn new(store: &cache::Store, name: Option<&str>) -> Result<Self, Failure> {
        let name = name.map(|name| Name::take(store, name)).transpose()?;
        let staging = store
            .staging("container")
            .map_err(|error| store_failure(&error))?;
        for dir in ["fs", "work"] {
            let path = staging.path().join(dir);
            std::fs::create_dir(&path).map_err(|error| crate::export::unwritable(&path, &error))?;
        }
        let relative = staging
            .path()
            .strip_prefix(store.root())
            .unwrap_or(staging.path())
            .to_owned();
        let mut bytes = [0; 32];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|error| Failure::from_error(ENGINE, &error))?;
        let id = image::Digest::from_bytes(bytes).hex();
        Ok(Self {
            relative,
            _staging: staging,
            _name: name,
            id,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.relative.join(name)
    }

    fn short_id(&self) -> &str {
        &self.id[..12]
    }
}

/// A container's name, which nobody else can have while it runs: a locked file, so that the name
/// of a container that was killed is free.
struct Name {
    path: PathBuf,
    _locked: std::fs::File,
}

impl Name {
    fn take(store: &cache::Store, name: &str) -> Result<Self, Failure> {
        let good = name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !good {
            return Err(Failure::new(
                ENGINE,
                format!(
                    "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                ),
            ));
        }
        let path = store.containers_dir().join(format!("{name}.name"));
        let unusable = |error: std::io::Error| crate::export::unwritable(&path, &error);
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path,
                _locked: file,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Failure::new(
                ENGINE,
                format!("Conflict. The container name \"/{name}\" is already in use"),
            )
            .help("wait for that container to end, or use another name")),
            Err(std::fs::TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // A file that stays is no lock: the name is free all the same.
        let _ = std::fs::remove_file(&self.path);
    }
}
