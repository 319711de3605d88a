//! `update`: changes limits and restart policy of containers.

use crate::cli::container::UpdateArgs;
use crate::containers::{find, life, limits, restart};
use crate::home::Home;
use crate::report::{Class, Failure};

/// Changes them, of containers that run at once.
pub fn run(args: &UpdateArgs, home: &Home) -> anyhow::Result<u8> {
    let policy = args.restart.as_deref().map(restart::policy).transpose()?;
    let flags = &args.limits;
    let has_limits = flags.memory.is_some()
        || flags.memory_reservation.is_some()
        || flags.memory_swap.is_some()
        || flags.cpus.is_some()
        || flags.cpu_shares.is_some()
        || flags.cpu_period.is_some()
        || flags.cpu_quota.is_some()
        || flags.cpuset_cpus.is_some()
        || flags.cpuset_mems.is_some()
        || flags.pids_limit.is_some();
    if flags.cgroup_parent.is_some() {
        return Err(Failure::new(
            Class::Refused,
            "--cgroup-parent is chosen when a container is made",
        )
        .into());
    }
    if policy.is_none() && !has_limits {
        return Err(Failure::new(
            Class::Refused,
            "you must provide one or more flags when using this command",
        )
        .into());
    }
    let store = home.enter_and_open()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        let mut document = find::document(&store, &row)?;
        let cannot = |failure: Failure| Failure {
            title: format!("Cannot update container {}: {}", row.id, failure.title),
            ..failure
        };
        limits::check(flags)?;
        limits::change(flags, &mut document.host_config).map_err(cannot)?;
        if let Some(policy) = &policy {
            if document.host_config.auto_remove && policy.name != "no" {
                let why = "Restart policy cannot be updated because AutoRemove is enabled for the container";
                return Err(cannot(Failure::new(Class::Refused, why)));
            }
            document.host_config.restart_policy = policy.clone();
        }
        if let Some(mut control) = find::control(&store, &row)? {
            // As when it is started: what this machine cannot limit is said, and kept for another day.
            let resources = life::resources(&document.host_config);
            control
                .update(
                    policy.as_ref().map(restart::restart),
                    has_limits.then_some(&resources),
                )
                .map_err(|error| find::monitor_failure(&error))?;
        }
        document.write(&find::folder(&store, &row))?;
        life::describe(&store, &row, &document)?;
        Ok(Some(text.to_owned()))
    })
}
