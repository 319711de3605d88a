//! Checks, targets and parameters: what is printed, what is found, and the exit code.

use serde_json::{Value, json};

use crate::place::{Place, Said};

const GOOD: &str = "FROM scratch\nCMD [\"x\"]\n";
const BAD: &str = "FROM scratch AS One\nCMD x\nFROM scratch\nWORKDIR here\n";

fn check(place: &Place, dockerfile: &str, arguments: &[&str]) -> Said {
    place.write("Dockerfile", dockerfile);
    let project = place.project();
    let mut all = arguments.to_vec();
    all.push(project.to_str().unwrap());
    place.rbuild(&all)
}

fn parsed(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn what_is_found_is_shown_and_fails() {
    let Some(place) = Place::new() else { return };
    for how in [
        &["check"][..],
        &["build", "--check"],
        &["build", "-t", "x", "--call=check"],
    ] {
        let said = check(&place, GOOD, how).ok();
        assert_eq!(said.out, "nothing found\n", "{how:?}");
        let said = check(&place, BAD, how);
        assert_eq!(said.code, 1, "{said:?}");
        for part in [
            "warning: StageNameCasing: Stage name 'One' should be lowercase",
            "Dockerfile:2:1",
            "WorkdirRelativePath",
            "3 warnings\n",
        ] {
            assert!(said.out.contains(part), "{part}: {said:?}");
        }
    }
    // Only what the target needs.
    let said = check(&place, BAD, &["check", "--target=one"]);
    assert!(said.out.contains("2 warnings\n"), "{said:?}");
    // A build after all is a build.
    check(&place, GOOD, &["build", "--call=build", "-t", "x"]).ok();
    check(&place, GOOD, &["build", "--check", "--call=outline"]).fails(2, "--check");
    check(&place, GOOD, &["build", "--call=nothing"]).fails(2, "nothing");
}

#[test]
fn what_is_broken_is_a_result_too() {
    let Some(place) = Place::new() else { return };
    let json = ["build", "--call=check,format=json"];
    let said = check(&place, GOOD, &json).ok();
    assert_eq!(parsed(&said)["warnings"], json!([]));
    assert_eq!(parsed(&said).get("buildError"), None);

    let said = check(&place, "FROM scratch\nRUNN x\nCOPY\n", &json);
    assert_eq!(said.code, 1);
    let error = &parsed(&said)["buildError"];
    assert_eq!(error["message"], "unknown instruction: RUNN");
    assert_eq!(error["location"]["ranges"][0]["start"]["line"], 2);

    // A registry that is not there says nothing about the rest of the file.
    let missing = "FROM 127.0.0.1:1/gone AS One\nLABEL a=$A\nFROM scratch\nLABEL a=$A\n";
    let said = check(&place, missing, &json);
    assert_eq!(said.code, 1);
    let found = parsed(&said);
    let rules: Vec<&str> = found["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|warning| warning["ruleName"].as_str())
        .collect();
    assert_eq!(rules, ["StageNameCasing", "UndefinedVar"]);
    let error = &found["buildError"];
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1:1/gone"),
        "{error}"
    );
    assert_eq!(error["location"]["ranges"][0]["start"]["line"], 1);

    let said = check(&place, "FROM scratch\nRUNN x\nCOPY\n", &["check"]);
    assert!(
        said.out.contains("Dockerfile:3") && said.out.ends_with("2 errors\n"),
        "{said:?}"
    );
}

#[test]
fn a_file_can_ask_for_errors_and_for_silence() {
    let Some(place) = Place::new() else { return };
    let silent = "# check=skip=all\nFROM scratch AS One\n";
    check(&place, silent, &["check"]).ok();
    let strict = "# check=error=true\nFROM scratch AS One\n";
    let said = check(&place, strict, &["check"]);
    assert_eq!(said.code, 1);
    assert!(said.out.ends_with("1 warning and 1 error\n"), "{said:?}");
    let said = check(&place, strict, &["build", "-t", "x"])
        .fails(2, "lint violation found for rules: StageNameCasing");
    assert!(said.err.contains("should be lowercase"), "{said:?}");
}

#[test]
fn other_programs_get_their_formats() {
    let Some(place) = Place::new() else { return };
    let said = check(&place, BAD, &["check", "--format=github"]);
    let shown = place.project().join("Dockerfile");
    let first = format!(
        "::warning file={},line=1,endLine=1,title=StageNameCasing::Stage name 'One' should be lowercase",
        shown.display()
    );
    assert_eq!(
        (said.code, said.out.lines().next()),
        (1, Some(first.as_str()))
    );
    let said = check(&place, BAD, &["check", "--format=sarif"]);
    let results = parsed(&said)["runs"][0]["results"].as_array().map(Vec::len);
    assert_eq!((said.code, results), (1, Some(3)));
}

#[test]
fn targets_and_parameters_are_listed() {
    let Some(place) = Place::new() else { return };
    let text = "\
FROM scratch AS lib
RUN --mount=type=secret,id=key,required x
# app the program
FROM 127.0.0.1:1/gone AS app
# LEVEL how hard to try
ARG LEVEL=1
COPY --from=lib / /
";
    let said = check(&place, text, &["build", "--call=targets"]).ok();
    assert_eq!(
        said.out,
        "TARGET          BASE               DESCRIPTION\n\
         lib             scratch\n\
         app (default)   127.0.0.1:1/gone   the program\n"
    );
    let said = check(&place, text, &["build", "--call=targets,format=json"]).ok();
    assert_eq!(
        parsed(&said)["targets"][1],
        json!({
            "name": "app",
            "default": true,
            "description": "the program",
            "base": "127.0.0.1:1/gone",
            "location": { "ranges": [{ "start": { "line": 4 }, "end": { "line": 4 } }] },
        })
    );
    let outline = ["build", "--build-arg=LEVEL=9", "--call=outline"];
    let said = check(&place, text, &outline).ok();
    assert_eq!(
        said.out,
        "TARGET:      app\n\
         DESCRIPTION: the program\n\
         \n\
         BUILD ARG   VALUE   DESCRIPTION\n\
         LEVEL       9       how hard to try\n\
         \n\
         SECRET   REQUIRED\n\
         key      true\n"
    );
    let outline = ["build", "--target=lib", "--call=outline,format=json"];
    let found = parsed(&check(&place, text, &outline).ok());
    assert_eq!(found["name"], "lib");
    assert_eq!(found.get("args"), None);
    assert_eq!(found["secrets"][0]["name"], "key");
    assert_eq!(found["secrets"][0]["required"], true);
    check(&place, "FROM\n", &["build", "--call=outline"]).fails(2, "FROM");
}
