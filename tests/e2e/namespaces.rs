//! Machines that refuse user namespaces to ordinary users: one error that says so, its exit code,
//! the setting to change, and no store made. The refusals are made inside a user namespace, whose
//! own limit counts, so that this machine stays as it is.

use std::process::Command;

use crate::place::{Place, Said, binary, said};

/// Runs rbuild as somebody without rights, where `refusal` (a shell command) was run before; `before`
/// is put before the program.
fn refused(place: &Place, refusal: &str, before: &str, arguments: &str) -> Said {
    let script = format!(
        "{refusal} && exec setpriv --bounding-set=-all --inh-caps=-all {before} {} {arguments}",
        binary().display()
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .env("RBUILD_ROOT", place.path("refused"))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    said(output)
}

#[test]
fn a_kernel_without_user_namespaces_is_named_with_its_cure() {
    const LIMIT: &str = "echo 0 >/proc/sys/user/max_user_namespaces";
    const DENIED: &str = "strace -f -o /dev/null -e inject=unshare:error=EPERM";
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", LIMIT])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no user namespace to make smaller");
        return;
    }
    for (refusal, before, cure) in [
        (LIMIT, "", "sysctl -w user.max_user_namespaces="),
        // As kernel.unprivileged_userns_clone=0 and AppArmor do it. Which setting it is, is read
        // from them; here none of them says so.
        ("true", DENIED, "not permitted"),
    ] {
        for (arguments, code) in [("build project", 3), ("images", 3), ("run --rm app", 125)] {
            let said = refused(&place, refusal, before, arguments)
                .fails(code, "no user namespace")
                .fails(code, cure)
                .fails(code, "rbuild doctor");
            assert!(!said.err.contains("No space left"), "{}", said.err);
            assert_eq!(said.err.matches("error: ").count(), 1, "{}", said.err);
        }
        let doctor = refused(&place, refusal, before, "doctor");
        assert_eq!(doctor.code, 3, "{doctor:?}");
        assert!(doctor.out.contains("no containers"), "{doctor:?}");
    }
    assert!(!place.path("refused").exists(), "nothing is half-made");
}
