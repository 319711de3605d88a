//! What to change on a machine that refuses user namespaces: one setting, named.

/// What to change; one line of advice when nothing in particular stands out.
pub fn cure() -> String {
    let setting = |path: &str| {
        let text = std::fs::read_to_string(path).ok();
        text.map(|text| text.trim().to_owned())
    };
    let program = std::env::current_exe()
        .map_or_else(|_| "rbuild".to_owned(), |path| path.display().to_string());
    advise(&setting, &program)
}

fn advise(setting: &dyn Fn(&str) -> Option<String>, program: &str) -> String {
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "run `sysctl -w kernel.unprivileged_userns_clone=1` as root".to_owned();
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "run `sysctl -w user.max_user_namespaces=15000` as root".to_owned();
    }
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return format!(
            "AppArmor restricts them; write `profile rbuild {program} flags=(unconfined) {{ userns, }}` \
             with `abi <abi/4.0>,` above it to /etc/apparmor.d/rbuild, and load it with `apparmor_parser -r`"
        );
    }
    if setting("/run/.containerenv").is_some() || setting("/.dockerenv").is_some() {
        return "this is a container; start it with `--security-opt seccomp=unconfined \
                --security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
            .to_owned();
    }
    if setting("/proc/self/ns/user").is_none() && setting("/proc/self/uid_map").is_none() {
        return "this kernel has no user namespaces; run rbuild as root".to_owned();
    }
    "run rbuild as root, or ask for user namespaces on this machine".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_its_own_cure() {
        let cases = [
            (
                "/proc/sys/kernel/unprivileged_userns_clone",
                "0",
                "userns_clone=1",
            ),
            (
                "/proc/sys/user/max_user_namespaces",
                "0",
                "max_user_namespaces=",
            ),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "profile rbuild /bin/rbuild",
            ),
            ("/.dockerenv", "", "systempaths=unconfined"),
            ("/proc/self/uid_map", "", "as root"),
            ("/nothing", "", "no user namespaces"),
        ];
        for (path, value, wanted) in cases {
            let setting = |asked: &str| (asked == path).then(|| value.to_owned());
            let advice = advise(&setting, "/bin/rbuild");
            assert!(advice.contains(wanted), "{advice}");
        }
    }
}
