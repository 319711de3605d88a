//! Secrets that authorize ADD at servers: which header each of their names becomes, and for whom.

use std::process::Command;
use std::sync::{Arc, Mutex};

use executor::ops::SecretSource;
use solver::op::Op;

use super::Case;
use super::sources::{Server, git_op};
use crate::world::World;

pub(super) const CASES: &[Case] = &[
    ("secrets_authorize_at_http_servers", http),
    ("secrets_authorize_at_git_servers", git),
];

/// The headers that a server was shown, in lower case, when a build had these secrets.
fn shown(secrets: &[(String, &'static str)], op: Op, seen: &Seen) -> Vec<String> {
    let given = secrets.to_vec();
    let world = World::with(move |options| {
        for (name, value) in &given {
            let value = SecretSource::Value(value.as_bytes().to_vec());
            options.secrets.insert(name.clone(), value);
        }
    });
    seen.lock().unwrap().clear();
    let error = world.run(op, &[]).unwrap_err();
    let told = format!("{error} {error:?}");
    for (_, value) in secrets {
        assert!(!told.contains(value.trim()), "{told}");
    }
    let seen = seen.lock().unwrap();
    seen.iter()
        .flat_map(|request| request.lines())
        .filter_map(|line| line.strip_prefix("authorization: ").map(str::to_owned))
        .collect()
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A server that has nothing, and what it was asked.
fn server() -> (Server, Seen) {
    let seen = Seen::default();
    let asked = Arc::clone(&seen);
    let server = Server::new(move |request| {
        asked.lock().unwrap().push(request.to_owned());
        "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    });
    (server, seen)
}

fn http() {
    let (server, seen) = server();
    let host = server.address.as_str();
    let bare = host.split(':').next().unwrap();
    let first = |secrets: &[(String, &'static str)]| {
        let found = shown(secrets, Op::Http(server.op("/f")), &seen);
        found.first().cloned()
    };
    for (secrets, header) in [
        (
            vec![(format!("HTTP_AUTH_TOKEN_{host}"), "tok")],
            Some("bearer tok"),
        ),
        (
            vec![(format!("HTTP_AUTH_TOKEN_{bare}"), "tok\n")],
            Some("bearer tok"),
        ),
        (
            vec![(format!("HTTP_AUTH_HEADER_{host}"), "Basic own")],
            Some("basic own"),
        ),
        (
            vec![
                (format!("HTTP_AUTH_TOKEN_{bare}"), "tok"),
                (format!("HTTP_AUTH_HEADER_{bare}"), "Basic own"),
            ],
            Some("basic own"),
        ),
        (
            vec![("HTTP_AUTH_TOKEN_example.org".to_owned(), "tok")],
            None,
        ),
        (vec![("HTTP_AUTH_TOKEN".to_owned(), "tok")], None),
        (vec![(format!("GIT_AUTH_TOKEN.{host}"), "tok")], None),
    ] {
        assert_eq!(first(&secrets).as_deref(), header, "{secrets:?}");
    }
}

fn git() {
    if !Command::new("git")
        .arg("--version")
        .output()
        .is_ok_and(|said| said.status.success())
    {
        eprintln!("SKIPPED: there is no git");
        return;
    }
    let (server, seen) = server();
    let host = server.address.as_str();
    let bare = host.split(':').next().unwrap();
    let url = format!("http://{host}/team/repo.git");
    let first = |secrets: &[(String, &'static str)]| {
        let op = Op::Git(git_op(&url, "main", ""));
        shown(secrets, op, &seen).first().cloned()
    };
    // x-access-token:tok
    let token = "Basic eC1hY2Nlc3MtdG9rZW46dG9r".to_lowercase();
    for (secrets, header) in [
        (
            vec![("GIT_AUTH_TOKEN".to_owned(), "tok")],
            Some(token.as_str()),
        ),
        (
            vec![(format!("GIT_AUTH_TOKEN.{host}"), "tok")],
            Some(&token),
        ),
        (
            vec![(format!("GIT_AUTH_TOKEN.{bare}"), "tok\n")],
            Some(&token),
        ),
        (
            vec![("GIT_AUTH_HEADER".to_owned(), "Bearer own")],
            Some("bearer own"),
        ),
        (
            vec![(format!("GIT_AUTH_HEADER.{bare}"), "Bearer own")],
            Some("bearer own"),
        ),
        // that of the host is nearer than that for all
        (
            vec![
                ("GIT_AUTH_HEADER".to_owned(), "Bearer other"),
                (format!("GIT_AUTH_TOKEN.{bare}"), "tok"),
            ],
            Some(&token),
        ),
        (vec![("GIT_AUTH_TOKEN.example.org".to_owned(), "tok")], None),
        (vec![(format!("HTTP_AUTH_TOKEN_{host}"), "tok")], None),
    ] {
        assert_eq!(first(&secrets).as_deref(), header, "{secrets:?}");
    }
}
