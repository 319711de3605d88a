//! What is refused, in which words, and where.

use super::*;

#[test]
fn wrong_files_are_refused_in_the_references_words() {
    for (text, message) in [
        ("FROM $NOPE\n", "base name ($NOPE) should not be blank"),
        (
            "FROM BusyBox\n",
            "failed to parse stage name \"BusyBox\": invalid reference format: repository name (library/BusyBox) must be lowercase",
        ),
        (
            "FROM busybox\nRUN --mount=type=cache,target=/c,source=./seed/ x\n",
            "open /seed: no such file or directory",
        ),
        (
            "FROM busyboks\n",
            "busyboks: not found (did you mean busybox?)",
        ),
        (
            "FROM --platform=$NOPE busybox\n",
            "empty platform value from expression $NOPE",
        ),
        (
            "FROM busybox AS a\nCOPY --from=b /x /x\nFROM busybox AS b\nCOPY --from=a /y /y\n",
            "circular dependency detected on stage: a",
        ),
        (
            "FROM busybox AS a\nCOPY --from=A /x /x\n",
            "circular dependency detected on stage: a",
        ),
        (
            "FROM busybox\nCOPY --from=later /x /x\nFROM busybox AS later\nFROM stage-0\n",
            "stage-0: not found",
        ),
        (
            "FROM busybox\nCOPY --from=2 /x /x\n",
            "invalid stage index 2",
        ),
        (
            "FROM busybox\nCOPY --from=$X /x /x\n",
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        ),
        (
            "FROM busybox\nRUN --mount=from=$X,target=/x y\n",
            "'from' doesn't support variable expansion, define alias stage instead",
        ),
        (
            "FROM busybox\nRUN --mount=type=volume,target=/x y\n",
            "unsupported mount type \"volume\"",
        ),
        (
            "FROM busybox\nRUN --mount=target=/,source=d y\n",
            "invalid mount target \"/\"",
        ),
        (
            "FROM busybox\nRUN --network=host x\n",
            "network.host is not allowed",
        ),
        (
            "FROM busybox\nRUN --security=insecure x\n",
            "security.insecure is not allowed",
        ),
        ("FROM scratch\nEXPOSE http\n", "invalid containerPort: http"),
        (
            "FROM scratch\nSTOPSIGNAL SIGNOPE\n",
            "invalid signal: SIGNOPE",
        ),
        (
            "FROM scratch\nARG E=\nVOLUME $E\n",
            "VOLUME specified can not be an empty string",
        ),
        (
            "FROM scratch\nCOPY --chmod=10000 f /f\n",
            "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777",
        ),
        (
            "FROM scratch\nCOPY http://h/x /x\n",
            "source can't be a URL for COPY",
        ),
        (
            "FROM scratch\nCOPY git@h:x /x\n",
            "source can't be a git ref for COPY",
        ),
        (
            "FROM scratch\nADD --checksum=sha256:00 x /x\n",
            "checksum requires HTTP(S) or Git sources",
        ),
        (
            "FROM scratch\nADD --checksum=sha256:00 x y /x/\n",
            "checksum can't be specified for multiple sources",
        ),
        (
            "FROM scratch\nLABEL a=${A?gone}\n",
            "failed to process \"${A?gone}\": A: gone",
        ),
        (
            "# syntax=example.org/other\nFROM scratch\n",
            "the syntax image example.org/other is not supported: frontends other than docker/dockerfile are not loaded",
        ),
        (
            "# check=nope\nFROM scratch\n",
            "failed to parse check options: invalid check option \"nope\"",
        ),
    ] {
        assert_eq!(error_of(text).message, message, "{text}");
    }
}

#[test]
fn a_later_stage_cannot_be_read() {
    let text = "FROM busybox AS a\nRUN --mount=from=b,target=/x y\nFROM a AS b\n";
    let error = error_of(text);
    assert!(
        error
            .message
            .starts_with("cannot mount from stage \"b\" to \"/x\""),
        "{error}"
    );
    let text = "FROM busybox AS a\nCOPY --from=b /x /x\nFROM a AS b\n";
    let error = error_of(text);
    assert_eq!(
        error.message,
        "cannot copy from stage \"b\", it needs to be defined before current stage \"a\""
    );
    let span = error.span.unwrap();
    assert_eq!(&text[span.start..span.end], "COPY --from=b /x /x");
}

#[test]
fn wrong_requests_have_no_place() {
    let with = |change: fn(&mut PlanRequest)| {
        let mut request = request();
        change(&mut request);
        error_with("FROM scratch AS real\n", &request)
    };
    let error = with(|r| r.target = Some("reel".to_owned()));
    assert_eq!(
        error.message,
        "target stage \"reel\" could not be found (did you mean real?)"
    );
    assert_eq!(error.span, None);
    let error = with(|r| r.target = Some("0".to_owned()));
    assert_eq!(error.message, "target stage \"0\" could not be found");
    let error = with(|r| r.build_args = vec![("BUILDKIT_SYNTAX".into(), "x/y".into())]);
    assert!(error.message.contains("x/y"));
}

#[test]
fn findings_fail_a_file_that_says_so() {
    let error = error_of("# check=error=true\nFROM scratch AS Upper\n");
    assert_eq!(
        error.message,
        "lint violation found for rules: StageNameCasing"
    );
    assert_eq!(error.warnings.len(), 1);
    let silenced = "# check=error=true;skip=StageNameCasing\nFROM scratch AS Upper\n";
    assert!(try_plan(silenced, &request(), &Registry::new()).is_ok());
    let instead = PlanRequest {
        build_args: vec![("BUILDKIT_DOCKERFILE_CHECK".into(), "error=true".into())],
        ..request()
    };
    assert!(try_plan(silenced, &instead, &Registry::new()).is_err());
}

#[test]
fn text_that_doubles_is_stopped() {
    let text = "FROM scratch\nENV A=0123456789abcdef\n".to_owned() + &"ENV A=$A$A$A$A\n".repeat(40);
    let error = error_of(&text);
    assert!(
        error.message.contains("more text than a plan may hold"),
        "{error}"
    );
}
