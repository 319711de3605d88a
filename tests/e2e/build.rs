//! A build leaves what its Dockerfile says.

use crate::place::Place;

#[test]
fn a_step_sees_what_the_steps_before_left() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("greeting", "hello\n");
    place
        .build(
            "FROM base:1 AS made\n\
             WORKDIR /made\n\
             COPY greeting .\n\
             ARG WHO=world\n\
             RUN cat greeting > said && echo $WHO >> said\n\
             FROM base:1\n\
             COPY --from=made /made/said /said\n\
             ENV A=b\n\
             CMD [\"cat\", \"/said\"]\n",
            &["--build-arg", "WHO=you"],
        )
        .ok();
    assert_eq!(
        place.rbuild(&["run", "--rm", "app"]).ok().out,
        "hello\nyou\n"
    );
    assert_eq!(place.sh("echo $A"), "b\n");
}

#[test]
fn mounts_of_a_step_leave_nothing_behind() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("secret", "s3cret");
    place.write("bound/file", "bound\n");
    let secret = format!("id=token,src={}", place.project().join("secret").display());
    place
        .build(
            "FROM base:1\n\
             RUN --mount=type=secret,id=token --mount=type=bind,source=bound,target=/b \
                 --mount=type=tmpfs,target=/t --mount=type=cache,target=/c \
                 cp /b/file /kept && test \"$(tr a-z b-za < /run/secrets/token)\" = t3dsfu && touch /t/x /c/x\n\
             RUN --mount=type=cache,target=/c ls /c > /listed\n\
             RUN --network=none ip addr > /addresses || true\n",
            &["--secret", &secret],
        )
        .ok();
    assert_eq!(place.sh("cat /kept /listed"), "bound\nx\n");
    assert_eq!(
        place.sh("ls / | tr '\\n' ' '"),
        "addresses bin dev etc home kept listed proc root sys tmp "
    );
    assert_eq!(place.sh("grep -c '^[0-9]*: ' /addresses"), "1\n");
    let archive = place.path("app.tar");
    place
        .build_again(&[
            "--secret",
            &secret,
            "-o",
            &format!("type=oci,dest={}", archive.display()),
        ])
        .ok();
    let bytes = std::fs::read(archive).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"s3cret"));
}

#[test]
fn users_and_directories_are_those_of_the_image() {
    let Some(place) = Place::with_users() else {
        return;
    };
    place.write("f", "f\n");
    place
        .build(
            "FROM base:1\n\
             USER user\n\
             WORKDIR /home/user/made\n\
             RUN id -u > who && id -G >> who && pwd >> who && echo $HOME >> who\n\
             COPY --chown=other:extra --chmod=0640 f /f\n\
             COPY f /plain\n",
            &[],
        )
        .ok();
    assert_eq!(
        place.sh("cat /home/user/made/who"),
        "1000\n1000 1500\n/home/user/made\n/home/user\n"
    );
    assert_eq!(
        place.sh("stat -c '%u:%g %a' /f /plain /home/user/made"),
        "1001:1500 640\n0:0 644\n1000:1000 755\n"
    );
}

#[test]
fn heredocs_and_archives() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("inside/a", "a\n");
    let tar = place.project().join("files.tar");
    let status = std::process::Command::new("tar")
        .arg("-C")
        .arg(place.project())
        .arg("-cf")
        .arg(&tar)
        .arg("inside")
        .status()
        .unwrap();
    assert!(status.success());
    place
        .build(
            "FROM base:1\n\
             RUN <<EOF\n\
             echo one > /out\n\
             echo two >> /out\n\
             EOF\n\
             COPY <<EOF /text\n\
             written here\n\
             EOF\n\
             ADD files.tar /unpacked\n",
            &[],
        )
        .ok();
    assert_eq!(
        place.sh("cat /out /text /unpacked/inside/a"),
        "one\ntwo\nwritten here\na\n"
    );
}

#[test]
fn deleted_files_stay_deleted() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place
        .build(
            "FROM base:1\n\
             RUN mkdir -p /d/e && touch /d/e/f /d/g\n\
             RUN rm -r /d/e && rm /d/g && mkdir /d/e\n\
             RUN rm -r /home\n",
            &[],
        )
        .ok();
    assert_eq!(
        place.sh("find /d; ls -d /home 2>&1 || true"),
        "/d\n/d/e\nls: /home: No such file or directory\n"
    );
}

#[test]
fn mounts_are_made_from_the_root_down_and_the_last_of_one_place_is_seen() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for name in ["one/first", "two/second", "all/two/hidden"] {
        place.write(name, "");
    }
    let text = "FROM base:1\n\
        RUN --mount=source=two,target=/m/two --mount=source=all,target=/m ls /m/two > /out\n\
        RUN --mount=source=one,target=/k --mount=source=two,target=/k ls /k >> /out\n";
    place.build(text, &[]).ok();
    assert_eq!(
        place.sh("cat /out; ls -d /m /k 2>/dev/null || true"),
        "second\nsecond\n"
    );
}

#[test]
fn outputs_hold_the_same_files() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let out = place.path("out");
    place
        .build(
            "FROM scratch\nCOPY <<A /a/b\nx\nA\n",
            &["-o", out.to_str().unwrap()],
        )
        .ok();
    assert_eq!(std::fs::read_to_string(out.join("a/b")).unwrap(), "x\n");
    let tar = place
        .command(&["build", "-o", "-", place.project().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(tar.status.success());
    let listed = place.path("listed.tar");
    std::fs::write(&listed, tar.stdout).unwrap();
    let listing = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&listed)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&listing.stdout).contains("a/b"));
}

#[test]
fn an_archive_has_the_same_bytes_from_two_stores() {
    let (Some(one), Some(two)) = (Place::with_base(), Place::with_base()) else {
        return;
    };
    let dockerfile = "FROM base:1\nRUN echo x > /x && touch -d @1000 /x\nCOPY Dockerfile /\n";
    let bytes = |place: &Place| {
        let archive = place.path("app.tar");
        let spec = format!("type=oci,dest={},rewrite-timestamp=true", archive.display());
        place
            .build(
                dockerfile,
                &["--build-arg", "SOURCE_DATE_EPOCH=1600000000", "-o", &spec],
            )
            .ok();
        std::fs::read(archive).unwrap()
    };
    assert!(bytes(&one) == bytes(&two), "the archives differ");
}

#[test]
fn a_dockerfile_can_come_from_standard_input() {
    let Some(place) = Place::with_base() else {
        return;
    };
    std::fs::create_dir(place.project()).unwrap();
    let project = place.project();
    let command = place.command(&["build", "-t", "app", "-f", "-", project.to_str().unwrap()]);
    crate::place::fed(command, b"FROM base:1\nRUN echo piped > /x\n").ok();
    assert_eq!(place.sh("cat /x"), "piped\n");
}
