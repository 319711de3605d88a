//! The mounts of a RUN as its step has them: targets absolute, sources among the inputs.

use solver::VertexId;
use solver::op::{EnvOrigin, EnvVar, ExecMount, MountKind, Sharing};

use super::error::PlanError;
use super::gotext::quoted;
use super::mounts::{Kind, Mount};
use super::paths;
use super::stages::{SCRATCH, Source};
use super::work::Work;
use crate::expansion::Variables;

impl Work<'_, '_> {
    /// The mounts as a step has them; their sources are added to `inputs`.
    pub(super) fn mounts(
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
        if from.is_none() && !is_whole {
            let missing = format!("open /{directory}: no such file or directory");
            return Err(PlanError::new(missing)
                .help("the source of a cache mount is a directory of what from= names"));
        }
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
