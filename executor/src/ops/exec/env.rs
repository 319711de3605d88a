//! The environment of a step: what the op says, and what the builder adds to it.
//!
//! Secrets never come here; they travel beside the spec.

use solver::op::ExecOp;

use super::certs;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME=value` in the order in which variables were set. Proxies, the agent's socket and
/// certificates are added where the step does not say otherwise itself.
pub fn environment(op: &ExecOp, agent: Option<&str>, with_certs: bool) -> Vec<String> {
    let mut env: Vec<(&str, &str)> = Vec::new();
    let variables = op.env.iter().map(|v| (v.name.as_str(), v.value.as_str()));
    for (name, value) in variables {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    let mut added: Vec<(&str, &str)> = vec![("PATH", PATH)];
    added.extend(op.proxy_env.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    added.extend(agent.map(|socket| ("SSH_AUTH_SOCK", socket)));
    if with_certs {
        added.extend(certs::variables());
    }
    for (name, value) in added {
        if !env.iter().any(|(known, _)| *known == name) {
            env.push((name, value));
        }
    }
    env.into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Sets the variables of devices, which win over the step's own.
pub fn with_devices(env: &mut Vec<String>, added: &[String]) {
    for variable in added {
        let name = variable.split('=').next();
        match { env.iter_mut() }.find(|known| known.split('=').next() == name) {
            Some(known) => known.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use solver::op::{EnvOrigin, EnvVar};

    use super::super::tests::exec_op;
    use super::*;

    #[test]
    fn the_steps_own_words_win_over_what_is_added() {
        let variable = |name: &str, value: &str| EnvVar {
            name: name.to_owned(),
            value: value.to_owned(),
            origin: EnvOrigin::Env,
        };
        let op = ExecOp {
            env: vec![
                variable("A", "1"),
                variable("SSL_CERT_FILE", "/mine"),
                variable("A", "2"),
            ],
            proxy_env: vec![("http_proxy".to_owned(), "http://p".to_owned())],
            ..exec_op(&["true"])
        };
        let env = environment(&op, Some("/agent"), true);
        assert_eq!(
            env[..5],
            [
                "A=2",
                "SSL_CERT_FILE=/mine",
                &format!("PATH={PATH}"),
                "http_proxy=http://p",
                "SSH_AUTH_SOCK=/agent",
            ]
        );
        assert!(env.contains(&"PIP_CERT=/run/rbuild/host-certs.pem".to_owned()));
        let bare = environment(&exec_op(&["true"]), None, false);
        assert_eq!(bare, [format!("PATH={PATH}")]);
    }
}
