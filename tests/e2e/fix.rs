//! `rbuild check --fix`: what becomes of the file, and what is said.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::place::{Place, Said, fed, said};

const OLD: &str = "# escape=`\r\nfrom scratch AS Base\r\n# why\r\nENV A b c\r\nRUN <<E\r\nenv x y\r\nE\r\nRUN a `\r\n\r\n  # in it\r\n\tb\r\nWORKDIR x\r\n";
const NEW: &str = "# escape=`\r\nFROM scratch AS base\r\n# why\r\nENV A=\"b c\"\r\nRUN <<E\r\nenv x y\r\nE\r\nRUN a `\r\n  # in it\r\n\tb\r\nWORKDIR x\r\n";

fn check(place: &Place, arguments: &[&str]) -> Said {
    let mut all = vec!["check"];
    all.extend(arguments);
    all.push(".");
    let mut command = place.command(&all);
    said(command.current_dir(place.project()).output().unwrap())
}

fn dockerfile(place: &Place) -> String {
    std::fs::read_to_string(place.project().join("Dockerfile")).unwrap()
}

#[test]
fn a_file_is_fixed_and_the_rest_of_it_kept() {
    let place = Place::anywhere();
    place.write("real/file", OLD);
    let real = place.project().join("real/file");
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o604)).unwrap();
    symlink("real/file", place.project().join("Dockerfile")).unwrap();

    let said = check(&place, &["--fix"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.err, "fixed ./Dockerfile\n");
    assert!(said.out.contains("WorkdirRelativePath"), "{said:?}");
    assert!(said.out.ends_with("1 warning\n"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), NEW);
    assert_eq!(real.metadata().unwrap().mode() & 0o7777, 0o604);
    let link = place.project().join("Dockerfile");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    let entries = std::fs::read_dir(place.project().join("real")).unwrap();
    assert_eq!(entries.count(), 1, "nothing is left beside it");

    // Nothing to do is nothing done.
    let before = real.metadata().unwrap().ino();
    let said = check(&place, &["--fix", "--format=github"]);
    assert!(
        said.out.starts_with("::warning file=./Dockerfile,line=11"),
        "{said:?}"
    );
    assert_eq!((said.err.as_str(), said.code), ("", 1));
    assert_eq!(real.metadata().unwrap().ino(), before);
    place.write("real/file", "FROM scratch\n");
    assert_eq!(check(&place, &["--fix"]).ok().out, "nothing found\n");
}

#[test]
fn what_would_change_is_shown_and_nothing_written() {
    let place = Place::anywhere();
    place.write(
        "Dockerfile",
        "from scratch\nENV A b\nCMD [\"x\"]\nLABEL a=b\n",
    );
    for how in [&["--diff"][..], &["--fix", "--dry-run"]] {
        let said = check(&place, how);
        assert_eq!(
            said.out,
            "--- a/Dockerfile\n+++ b/Dockerfile\n@@ -1,4 +1,4 @@\n-from scratch\n-ENV A b\n\
             +FROM scratch\n+ENV A=b\n CMD [\"x\"]\n LABEL a=b\n"
        );
        assert_eq!((said.code, said.err.as_str()), (1, "nothing found\n"));
    }
    assert!(dockerfile(&place).starts_with("from scratch\n"));
    place.write("Dockerfile", "FROM scratch\n");
    let said = check(&place, &["--diff"]).ok();
    assert_eq!(said.out, "");
    check(&place, &["--dry-run"]).fails(2, "--fix");
}

#[test]
fn standard_input_is_written_to_standard_output() {
    let place = Place::anywhere();
    std::fs::create_dir_all(place.project()).unwrap();
    let through = |arguments: &[&str], text: &str| {
        let mut command = place.command(arguments);
        command.current_dir(place.project());
        fed(command, text.as_bytes())
    };
    let fix = ["check", "--fix", "-f", "-", "."];
    let fixed = through(&fix, OLD);
    assert_eq!((fixed.code, fixed.out.as_str()), (1, NEW));
    assert!(fixed.err.contains("WorkdirRelativePath"), "{fixed:?}");
    assert_eq!(through(&fix, "from scratch\n").ok().out, "from scratch\n");
    // What cannot be read is not lost either.
    let broken = through(&fix, "FROM scratch\nRUNN x\n");
    assert_eq!(
        (broken.code, broken.out.as_str()),
        (1, "FROM scratch\nRUNN x\n")
    );
    assert!(broken.err.contains("did you mean RUN?"), "{broken:?}");
}

#[test]
fn a_file_that_cannot_be_replaced_is_left_alone() {
    let place = Place::anywhere();
    place.write("Dockerfile", OLD);
    let path = place.project().join("Dockerfile");
    std::fs::hard_link(&path, place.project().join("other")).unwrap();
    check(&place, &["--fix"]).fails(2, "it has 1 more name, which would keep the old text");
    assert_eq!(dockerfile(&place), OLD);
    // Broken ones are reported, as without --fix.
    place.write("Dockerfile", "FROM scratch\nRUNN x\n");
    let said = check(&place, &["--fix"]);
    assert_eq!(said.code, 1);
    assert!(said.out.ends_with("1 error\n"), "{said:?}");
}

#[test]
fn own_rules_are_asked_by_check_and_where_a_file_names_them() {
    let place = Place::anywhere();
    let text = "FROM scratch\nRUN apt-get update\nCOPY . /\n";
    place.write("Dockerfile", text);
    place.write("deep/.env", "A=secret\n");
    let rules = |said: &Said| -> Vec<String> {
        let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let warnings = found["warnings"].as_array().unwrap().iter();
        warnings
            .map(|warning| warning["ruleName"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = ["rbuild/LoneAptUpdate", "rbuild/NoIgnoreFile"];
    assert_eq!(rules(&check(&place, &["--format=json"])), own);
    let call = || {
        let arguments = ["build", "--call=check,format=json", "."];
        let mut command = place.command(&arguments);
        said(command.current_dir(place.project()).output().unwrap())
    };
    assert_eq!(rules(&call().ok()), [""; 0]);
    place.write(
        "Dockerfile",
        &format!("# check=experimental=rbuild/NoIgnoreFile\n{text}"),
    );
    assert_eq!(rules(&call()), own[1..]);
    place.write("Dockerfile", &format!("# check=skip=rbuild/all\n{text}"));
    assert_eq!(check(&place, &[]).ok().out, "nothing found\n");

    // With an ignore file nothing is missing; an exception in it may be void.
    place.write("Dockerfile", "FROM scratch\nCOPY . /\n");
    place.write(".dockerignore", "# caf\u{e9}\ndeep/*\n!deep\n");
    let said = check(&place, &[]);
    assert!(
        said.out
            .contains("rbuild/UselessIgnoreException: The exception \"!deep\" lets nothing in")
            && said.out.contains("./.dockerignore:3:1"),
        "{said:?}"
    );
    let said = check(&place, &["--format=json"]);
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found["warnings"][0]["location"]["sourceIndex"], 1);
    assert_eq!(found["sources"][1]["filename"], "./.dockerignore");
}
