//! RUN.

use solver::op::{MountKind, NetworkMode, SecurityMode, Sharing};

use super::*;

#[test]
fn the_forms_of_run() {
    for (line, args) in [
        ("RUN a \"b\" $C", &["/bin/sh", "-c", "a \"b\" $C"][..]),
        ("RUN [\"a\", \"$C\"]", &["a", "$C"]),
        ("SHELL [\"bash\", \"-ec\"]\nRUN x", &["bash", "-ec", "x"]),
        ("RUN <<E\na $X\nb\nE", &["/bin/sh", "-c", "a $X\nb\n"]),
        ("RUN <<-E\n\ta\nE", &["/bin/sh", "-c", "a\n"]),
        ("RUN <<E bash\na\nE", &["/bin/sh", "-c", "<<E bash\na\nE"]),
        (
            "RUN cat <<A <<-B\n1\nA\n\t2\nB",
            &["/bin/sh", "-c", "cat <<A <<-B\n1\nA\n\t2\nB"],
        ),
    ] {
        let plan = plan_of(&format!("FROM busybox\n{line}\n"));
        assert_eq!(plan.exec().args, args, "{line}");
        assert!(plan.exec().scripts.is_empty());
    }
    let plan = plan_of("FROM busybox\nRUN <<E\n#!/usr/bin/env python\nprint()\nE\n");
    assert_eq!(plan.exec().args, ["/bin/sh", "-c", "/dev/pipes/E"]);
    assert_eq!(
        plan.exec().scripts[0].data,
        "#!/usr/bin/env python\nprint()\n"
    );
    assert_eq!(plan.names()[1], "[2/2] RUN <<E (#!/usr/bin/env python...)");
}

#[test]
fn arguments_for_an_sbom_are_no_variables() {
    let plan = plan_of(
        "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM busybox\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n\
         ARG BUILDKIT_SBOM_SCAN_CONTEXT\nARG OTHER=x$BUILDKIT_SBOM_SCAN_STAGE\nRUN env\n",
    );
    let names: Vec<&str> = plan.exec().env.iter().map(|v| v.name.as_str()).collect();
    assert!(names.contains(&"OTHER"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("SBOM")), "{names:?}");
    let other = plan.exec().env.iter().find(|v| v.name == "OTHER");
    assert_eq!(other.unwrap().value, "x");
}

#[test]
fn names_show_values_but_no_secrets() {
    let plan = plan_of(
        "FROM busybox\nARG V=1\nRUN --mount=type=secret,id=s,env=TOKEN echo \"$V\" '$V' $TOKEN $HOME\n",
    );
    assert_eq!(
        plan.names()[1],
        "[stage-0 2/2] RUN --mount=type=secret,id=s,env=TOKEN echo \"1\" '$V' **** $HOME"
    );
}

#[test]
fn mounts_are_lowered() {
    let plan = plan_of(
        "FROM busybox AS maker\nRUN make\nFROM busybox\nARG D=dir\nWORKDIR /w\n\
         RUN --mount=source=../$D,target=in --mount=from=maker,source=/out/,target=/o/,rw \
         --mount=type=cache,target=/c,uid=5,sharing=locked --mount=type=cache,id=k,target=rel,from=maker,source=seed,mode=0700 \
         --mount=type=tmpfs,target=/t,size=1m --mount=type=secret,id=a/b --mount=type=secret,source=s,target=f,env=E,required,mode=0440 \
         --mount=type=secret,id=only,env=O --mount=type=ssh --mount=type=ssh,id=x,required=true x\n",
    );
    let exec = plan.exec();
    let mounts: Vec<_> = exec
        .mounts
        .iter()
        .map(|m| (m.target.as_str(), m.readonly, &m.kind))
        .collect();
    let cache = |id: &str, sharing, from, source: &str, uid, mode| MountKind::Cache {
        id: id.to_owned(),
        sharing,
        from,
        source: source.to_owned(),
        uid,
        gid: 0,
        mode,
    };
    let secret = |id: &str, env: Option<&str>, file, required, mode| MountKind::Secret {
        id: id.to_owned(),
        env: env.map(str::to_owned),
        file,
        required,
        uid: 0,
        gid: 0,
        mode,
    };
    let ssh = |id: &str, required| MountKind::Ssh {
        id: id.to_owned(),
        required,
        uid: 0,
        gid: 0,
        mode: 0o600,
    };
    let expected = [
        (
            "/w/in",
            true,
            MountKind::Bind {
                input: 1,
                source: "dir".to_owned(),
            },
        ),
        (
            "/o",
            false,
            MountKind::Bind {
                input: 2,
                source: "out".to_owned(),
            },
        ),
        (
            "/c",
            false,
            cache("//c", Sharing::Locked, None, ".", 5, 0o755),
        ),
        (
            "/w/rel",
            false,
            cache("/k", Sharing::Shared, Some(2), "seed", 0, 0o755),
        ),
        ("/t", false, MountKind::Tmpfs { size: 1 << 20 }),
        (
            "/run/secrets/b",
            true,
            secret("a/b", None, true, false, 0o400),
        ),
        ("/w/f", true, secret("s", Some("E"), true, true, 0o440)),
        (
            "/run/secrets/only",
            true,
            secret("only", Some("O"), false, false, 0o400),
        ),
        ("/run/buildkit/ssh_agent.0", true, ssh("default", false)),
        ("/run/buildkit/ssh_agent.1", true, ssh("x", true)),
    ];
    assert_eq!(mounts.len(), expected.len());
    for (found, (target, readonly, kind)) in mounts.iter().zip(&expected) {
        assert_eq!(*found, (*target, *readonly, kind));
    }
    assert_eq!(exec.env.last().unwrap().value, "/run/buildkit/ssh_agent.0");
    let vertex = *plan.chain().last().unwrap();
    assert!(matches!(plan.vertex(&vertex.inputs[1]).op, Op::Context(_)));
    assert!(matches!(plan.vertex(&vertex.inputs[2]).op, Op::Exec(_)));
}

#[test]
fn what_the_request_says_reaches_the_step() {
    let args = [
        ("BUILDKIT_SANDBOX_HOSTNAME", "box"),
        ("BUILDKIT_CACHE_MOUNT_NS", "ns"),
        ("HTTP_PROXY", "http://p"),
        ("no_proxy", "x"),
    ];
    let request = PlanRequest {
        build_args: args.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        network: Some(NetworkMode::None),
        allow_insecure: true,
        allow_host_network: true,
        shm_size: Some(1),
        ulimits: vec!["nofile=1".to_owned()],
        extra_hosts: vec![("h".to_owned(), "::1".to_owned())],
        cgroup_parent: Some("/c".to_owned()),
        ..request()
    };
    let text =
        "FROM busybox\nARG HTTP_PROXY\nRUN --security=insecure --mount=type=cache,target=/c x\n";
    let plan = plan_with(text, &request);
    let exec = plan.exec();
    assert_eq!(
        (exec.hostname.as_str(), exec.network),
        ("box", NetworkMode::None)
    );
    assert_eq!(exec.security, SecurityMode::Insecure);
    assert_eq!(
        (exec.shm_size, exec.ulimits.len(), exec.extra_hosts.len()),
        (Some(1), 1, 1)
    );
    assert_eq!(exec.cgroup_parent.as_deref(), Some("/c"));
    let proxies: Vec<&str> = exec
        .proxy_env
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        proxies,
        ["http_proxy", "NO_PROXY", "no_proxy"],
        "declared ones are ordinary"
    );
    assert!(matches!(&exec.mounts[0].kind, MountKind::Cache { id, .. } if id == "ns//c"));
    let plan = plan_with("FROM busybox\nRUN --network=host x\n", &request);
    assert_eq!(plan.exec().network, NetworkMode::Host);
}

#[test]
fn history_lists_arguments_with_their_values_of_the_moment() {
    let plan = plan_of("FROM busybox\nARG A=1 B\nRUN x\nENV A=2\nARG A\nRUN y\n");
    assert_eq!(
        plan.history(),
        [
            "-ARG A=1 B",
            "RUN |2 A=1 B= /bin/sh -c x # buildkit",
            "-ENV A=2",
            "-ARG A",
            "RUN |2 A=2 B= /bin/sh -c y # buildkit",
        ]
    );
}
