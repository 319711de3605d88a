//! Checks of whole files, and the parameters of targets.

use super::*;
use crate::outline::{MountOutline, Outline};

fn check_with(text: &str, request: &PlanRequest) -> (Vec<String>, Vec<String>) {
    let dockerfile = parser::parse(text).unwrap();
    let found = check(&dockerfile, request, &Registry::new());
    let place = |span: Option<solver::Span>| {
        span.map_or(0, |span| text[..span.start].matches('\n').count() + 1)
    };
    let warnings = found.warnings.iter();
    let errors = found.errors.iter();
    (
        warnings
            .map(|w| format!("{}:{}", w.rule, place(Some(w.span))))
            .collect(),
        errors
            .map(|e| format!("{} :{}", e.message, place(e.span)))
            .collect(),
    )
}

#[test]
fn a_check_reads_all_stages_and_goes_on_behind_what_is_missing() {
    let lint = "lint violation found for rules:";
    for (text, warnings, errors) in [
        // Nothing needs the first stage.
        (
            "FROM scratch AS a\nWORKDIR x\nFROM scratch\nWORKDIR y\n",
            vec!["WorkdirRelativePath:2", "WorkdirRelativePath:4"],
            vec![],
        ),
        // What nobody can read has variables that nobody knows; another stage has not.
        (
            "FROM gone AS a\nLABEL a=$WHO\nCMD x\nFROM a\nLABEL a=$WHO\nFROM busybox\nLABEL a=$WHO\n",
            vec!["JSONArgsRecommended:3", "UndefinedVar:7"],
            vec!["gone: not found :1"],
        ),
        // All that is missing is told, before what is wrong in the file.
        (
            "FROM gone AS b\nFROM scratch\nCOPY --from=lost /x /\nSTOPSIGNAL what\nCMD x\n",
            vec![],
            vec![
                "gone: not found :1",
                "lost: not found :3",
                "invalid signal: what :4",
            ],
        ),
        // A stage that no build of the last one would read.
        (
            "FROM scratch\nSTOPSIGNAL what\nFROM scratch\nCMD x\n",
            vec![],
            vec!["invalid signal: what :2"],
        ),
        ("FROM scratch\nCMD [\"x\"]\n", vec![], vec![]),
    ] {
        let (found, wrong) = check_with(text, &request());
        assert_eq!(found, warnings, "{text}");
        assert_eq!(wrong, errors, "{text}");
    }
    let text = "# check=error=true\nFROM scratch AS A\n";
    let (found, wrong) = check_with(text, &request());
    assert_eq!(found, ["StageNameCasing:2"]);
    assert!(wrong[0].starts_with(lint), "{wrong:?}");
    let (_, wrong) = check_with("# check=nonsense\nFROM scratch\n", &request());
    assert!(
        wrong[0].contains("failed to parse check options"),
        "{wrong:?}"
    );
}

#[test]
fn a_check_of_a_target_reads_what_it_needs() {
    let text = "FROM scratch AS a\nWORKDIR x\nFROM scratch\nWORKDIR y\n";
    let request = |target: &str| PlanRequest {
        target: Some(target.to_owned()),
        ..super::request()
    };
    assert_eq!(check_with(text, &request("a")).0, ["WorkdirRelativePath:2"]);
    let (_, wrong) = check_with(text, &request("aa"));
    assert!(
        wrong[0].contains("could not be found (did you mean a?)"),
        "{wrong:?}"
    );
}

fn outline_of(text: &str, request: &PlanRequest) -> Outline {
    let dockerfile = parser::parse(text).unwrap();
    super::outline(&dockerfile, request, &Registry::new()).unwrap()
}

#[test]
fn an_outline_lists_what_a_target_asks_for() {
    let text = "\
ARG KIND=busy
# BASE what all start from
ARG BASE=${KIND}box
ARG UNUSED=1
FROM $BASE AS lib
# LEVEL how hard to try
ARG LEVEL=1
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=token x
FROM busybox AS other
ARG NEVER
RUN --mount=type=secret,id=never x
# app the program
FROM --platform=$BUILDPLATFORM busybox AS App
ARG TARGETARCH
ARG KIND
ARG LEVEL
ARG GIVEN=a
# words of somebody else
ARG NEXT=$GIVEN-b
COPY --from=lib / /
RUN --mount=type=secret,id=token,required --mount=type=ssh x
";
    let request = PlanRequest {
        build_args: vec![("GIVEN".to_owned(), "z".to_owned())],
        ..request()
    };
    let outline = outline_of(text, &request);
    assert_eq!(outline.name.as_deref(), Some("app"));
    assert_eq!(outline.description.as_deref(), Some("the program"));
    let args: Vec<_> = outline
        .args
        .iter()
        .map(|arg| {
            (
                arg.name.as_str(),
                arg.value.as_deref().unwrap_or("-"),
                arg.description.as_deref().unwrap_or("-"),
            )
        })
        .collect();
    assert_eq!(
        args,
        [
            ("KIND", "busy", "-"),
            ("BASE", "busybox", "what all start from"),
            ("LEVEL", "-", "-"),
            ("GIVEN", "z", "-"),
            ("NEXT", "z-b", "-"),
        ]
    );
    let rows = |list: &[MountOutline]| -> Vec<(String, bool, usize)> {
        let line = |start: usize| text[..start].matches('\n').count() + 1;
        list.iter()
            .map(|mount| (mount.id.clone(), mount.required, line(mount.span.start)))
            .collect()
    };
    assert_eq!(rows(&outline.secrets), [("token".to_owned(), true, 8)]);
    assert_eq!(rows(&outline.ssh), [("default".to_owned(), false, 21)]);
    assert_eq!(
        rows(&outline.caches),
        [("/root/.cache".to_owned(), false, 8)]
    );
}

#[test]
fn an_outline_needs_no_base_image_and_tells_what_is_wrong() {
    let outline = outline_of("FROM gone\nARG A=$B\n", &request());
    assert_eq!(outline.args.len(), 1);
    assert_eq!(outline.name, None);
    let dockerfile = parser::parse("FROM scratch\nSTOPSIGNAL what\n").unwrap();
    let error = super::outline(&dockerfile, &request(), &Registry::new()).unwrap_err();
    assert_eq!(error.message, "invalid signal: what");
}
