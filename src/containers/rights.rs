//! What a container may do: `--cap-add`, `--cap-drop`, `--security-opt`, `--privileged`, checked
//! and as the runtime has them.

use executor::container::spec::Security;

use super::ENGINE;
use super::document::HostConfig;
use crate::report::Failure;

/// Options of `--security-opt`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    no_new_privileges: bool,
    unfiltered: bool,
    unmasked: bool,
}

/// Whether the document asks for what there is. Names of capabilities are checked by the runtime.
pub fn check(host: &HostConfig) -> Result<(), Failure> {
    options(host.security_opt.as_deref().unwrap_or_default()).map(drop)
}

/// Whether exec can no longer raise privileges.
pub fn no_new_privileges(host: &HostConfig) -> Result<bool, Failure> {
    let options = options(host.security_opt.as_deref().unwrap_or_default())?;
    Ok(options.no_new_privileges)
}

/// The rights as the runtime has them.
pub fn security(host: &HostConfig) -> Result<Security, Failure> {
    let options = options(host.security_opt.as_deref().unwrap_or_default())?;
    Ok(Security {
        privileged: host.privileged,
        add_capabilities: host.cap_add.clone().unwrap_or_default(),
        drop_capabilities: host.cap_drop.clone().unwrap_or_default(),
        unfiltered: options.unfiltered,
        unmasked: options.unmasked,
    })
}

fn options(texts: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    for text in texts {
        let undone = || {
            Err(Failure::new(ENGINE, format!("--security-opt {text} is not done")).help(
                "no-new-privileges, seccomp=unconfined, systempaths=unconfined, apparmor=unconfined and label=disable are",
            ))
        };
        let (name, value) = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .unwrap_or((text, ""));
        match (name, value) {
            ("no-new-privileges", "" | "true") => options.no_new_privileges = true,
            ("no-new-privileges", "false") => options.no_new_privileges = false,
            ("seccomp", "unconfined") => options.unfiltered = true,
            ("systempaths", "unconfined") => options.unmasked = true,
            // Neither of the two is laid on a container here.
            ("apparmor", "unconfined") | ("label", "disable") => {}
            ("seccomp" | "apparmor" | "label" | "systempaths", _) => return undone(),
            _ => {
                return Err(Failure::new(
                    ENGINE,
                    format!("invalid --security-opt: \"{text}\""),
                ));
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_is_not_done_is_refused() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            options(&texts)
        };
        let all = read(&[
            "no-new-privileges",
            "seccomp=unconfined",
            "systempaths=unconfined",
        ]);
        let all = all.unwrap();
        assert!(all.no_new_privileges && all.unfiltered && all.unmasked);
        assert!(
            !read(&["no-new-privileges:false"])
                .unwrap()
                .no_new_privileges
        );
        assert_eq!(read(&["label=disable"]).unwrap(), Options::default());
        for wrong in [
            "seccomp=/profile.json",
            "apparmor=mine",
            "what",
            "label=type:x",
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
