//! COPY, ADD and WORKDIR.

use solver::op::{CopySource, ModeChange, Unpack};

use super::*;

fn selectors(plan: &BuildPlan) -> Vec<(usize, String, bool, Unpack)> {
    let (copy, _) = plan.copy();
    copy.sources
        .iter()
        .map(|source| match source {
            CopySource::Files {
                input,
                selector,
                unpack,
            } => (*input, selector.path.clone(), selector.pattern, *unpack),
            CopySource::Inline(file) => (
                0,
                format!("<<{}={}", file.name, file.data),
                false,
                Unpack::Never,
            ),
        })
        .collect()
}

#[test]
fn sources_are_names_inside_their_tree() {
    let plan = plan_of("FROM scratch\nARG D=/data\nCOPY /a ../b ./c/../d e* $D .  /x/\n");
    let never = |path: &str, pattern| (1, path.to_owned(), pattern, Unpack::Never);
    assert_eq!(
        selectors(&plan),
        [
            never("a", false),
            never("b", false),
            never("d", false),
            never("e*", true),
            never("data", false),
            never(".", false),
        ]
    );
    let plan = plan_of("FROM scratch\nCOPY --parents --exclude=*.o a/x/./../b/**/*.c /./d /x/\n");
    let (copy, _) = plan.copy();
    let CopySource::Files { selector, .. } = &copy.sources[0] else {
        panic!()
    };
    assert_eq!(
        (selector.path.as_str(), selector.parents),
        ("a/x/./b/**/*.c", true)
    );
    assert_eq!(selector.excludes, ["*.o"]);
    assert_eq!(selectors(&plan)[1].1, "d");
}

#[test]
fn destinations_are_absolute_and_keep_their_slash() {
    for (written, expected) in [
        ("/x", "/x"),
        ("x", "/w/x"),
        ("x/", "/w/x/"),
        (".", "/w/"),
        ("./", "/w/"),
        ("..", "/"),
        ("../y/.", "/y/"),
        ("/", "/"),
        ("\"\"", "/w/"),
    ] {
        let plan = plan_of(&format!("FROM scratch\nWORKDIR /w\nCOPY f {written}\n"));
        assert_eq!(plan.copy().0.dest, expected, "{written}");
    }
}

#[test]
fn flags_are_expanded_and_shown() {
    let plan = plan_of(
        "FROM busybox\nARG M=640 U=u\nCOPY --chown=$U:1 --chmod=$M f $U/\nCOPY --chmod=u+x f g\n",
    );
    let copies: Vec<_> = plan
        .chain()
        .into_iter()
        .filter_map(|v| match &v.op {
            Op::Copy(copy) => Some(copy),
            _ => None,
        })
        .collect();
    assert_eq!(copies[0].owner.as_deref(), Some("u:1"));
    assert_eq!(copies[0].mode, Some(ModeChange::Octal(0o640)));
    assert_eq!(copies[1].mode, Some(ModeChange::Symbolic("u+x".to_owned())));
    assert_eq!(
        plan.history()[1..],
        [
            "COPY --chown=u:1 --chmod=640 f u/ # buildkit",
            "COPY --chmod=u+x f g # buildkit",
        ]
    );
    assert!(
        plan.names()
            .contains(&"[2/3] COPY --chown=u:1 --chmod=640 f u/")
    );
}

#[test]
fn links_stand_on_nothing_unless_a_mode_is_asked_for() {
    let plan = plan_of("FROM busybox\nCOPY --link f /x/\n");
    let chain = plan.chain();
    assert!(matches!(chain[1].op, Op::Merge));
    let copied = plan.vertex(&chain[1].inputs[1]);
    assert!(matches!(&copied.op, Op::Copy(copy) if copy.link));
    assert!(matches!(plan.vertex(&copied.inputs[0]).op, Op::Scratch));
    let plan = plan_of("FROM busybox\nCOPY --link --chmod=600 f /x/\n");
    assert!(matches!(&plan.chain()[1].op, Op::Copy(copy) if !copy.link));
    assert_eq!(plan.history(), ["COPY --chmod=600 f /x/ # buildkit"]);
}

#[test]
fn heredocs_are_files_after_all_others() {
    let plan = plan_of(
        "FROM scratch\nENV W=world\nCOPY <<one <<-\"two\" f /d/\nhi $W \\n \"$W\"\none\n\t$W\ntwo\n",
    );
    let sources = selectors(&plan);
    assert_eq!(sources[0].1, "f");
    assert_eq!(sources[1].1, "<<one=hi world n \"world\"\n");
    assert_eq!(sources[2].1, "<<two=$W\n");
    assert_eq!(plan.history()[1], "COPY f <<one <<two /d/ # buildkit");
    // where a directory is named, the step fails, and nothing before it
    let plan = plan_of("FROM scratch\nCOPY <<../x <<a/b /d/\n1\n../x\n2\na/b\n");
    let names: Vec<_> = selectors(&plan).into_iter().map(|s| s.1).collect();
    assert_eq!(names, ["<<x=1\n", "<<a/b=2\n"]);
    assert_eq!(plan.history(), ["COPY <<../x <<a/b /d/ # buildkit"]);
}

#[test]
fn add_tells_archives_urls_and_repositories_apart() {
    let sum = Digest::of(b"x");
    let unpack = |line: &str| {
        let plan = plan_of(&format!("FROM scratch\n{line}\n"));
        selectors(&plan).pop().unwrap()
    };
    let tar = |how| (1, "a.tar".to_owned(), false, how);
    assert_eq!(unpack("ADD a.tar /x"), tar(Unpack::Archives));
    assert_eq!(unpack("ADD --unpack=false a.tar /x"), tar(Unpack::Never));
    assert_eq!(unpack("COPY a.tar /x"), tar(Unpack::Never));
    assert_eq!(unpack("ADD http://h/a.tar /x"), tar(Unpack::Never));
    assert_eq!(
        unpack("ADD --unpack=true http://h/a.tar /x"),
        tar(Unpack::Archives)
    );
    assert_eq!(unpack("ADD https://h/r.git#b /x").1, ".");
    let plan = plan_of(&format!(
        "FROM scratch\nADD --checksum={sum} http://h/a.tar /x\n"
    ));
    let (_, copy) = plan.copy();
    assert!(
        matches!(&plan.vertex(&copy.inputs[1]).op, Op::Http(http) if http.checksum == Some(sum))
    );
    let plan = plan_of("FROM scratch\nADD --keep-git-dir=true git@h:r.git?commit=abc /x\n");
    let (_, copy) = plan.copy();
    assert!(matches!(&plan.vertex(&copy.inputs[1]).op,
        Op::Git(git) if git.keep_git_dir && git.checksum.as_deref() == Some("abc")));
}

#[test]
fn working_directories_are_made_clean_and_kept_as_written() {
    let plan = plan_of(
        "FROM busybox\nUSER u:g\nWORKDIR a\nWORKDIR ../b/./c\nWORKDIR /x//y/./z\nWORKDIR /\n",
    );
    let made: Vec<_> = plan
        .chain()
        .into_iter()
        .filter_map(|v| match &v.op {
            Op::MakeDir(dir) => Some((dir.path.as_str(), dir.owner.as_str(), dir.mode)),
            _ => None,
        })
        .collect();
    assert_eq!(
        made,
        [
            ("/a", "u:g", 0o755),
            ("/b/c", "u:g", 0o755),
            ("/x/y/z", "u:g", 0o755)
        ]
    );
    assert_eq!(
        plan.history()[1..],
        [
            "WORKDIR /a",
            "WORKDIR /b/c",
            "WORKDIR /x//y/./z",
            "-WORKDIR /"
        ]
    );
    assert_eq!(plan.config().working_dir, "/");
}
