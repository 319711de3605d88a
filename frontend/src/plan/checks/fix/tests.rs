//! Fixes one by one, and of files made at random: what is fixed builds the same and is said no more.

use proptest::prelude::*;

use super::{FIXABLE, apply, edits};
use crate::instruction::Warning;
use crate::plan::tests::{Registry, request};
use crate::plan::{BuildPlan, PlanRequest, check, is_same_build, plan};

fn found(text: &str) -> Vec<Warning> {
    let dockerfile = crate::parse(text).unwrap_or_else(|errors| panic!("{errors:?} in {text:?}"));
    check(&dockerfile, &request(), &Registry::new()).warnings
}

/// The file with everything fixed that can be.
fn fixed(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..8 {
        let dockerfile = crate::parse(&text).unwrap();
        let edits = edits(&text, &dockerfile, &found(&text));
        if edits.is_empty() {
            return text;
        }
        text = apply(&text, &edits);
    }
    panic!("no end: {text:?}");
}

fn built(text: &str, request: &PlanRequest) -> BuildPlan {
    plan(&crate::parse(text).unwrap(), request, &Registry::new()).unwrap()
}

/// Fails unless both files are the same to builds.
fn assert_same(one: &str, other: &str) {
    let mut requests = vec![request(), request()];
    requests[1].build_args = vec![("A".to_owned(), "x 'y\" \\z".to_owned())];
    for request in requests {
        let (before, after) = (built(one, &request), built(other, &request));
        let steps = |plan: &BuildPlan| -> Vec<_> {
            let steps = plan.graph.iter();
            steps
                .map(|(id, vertex)| (id, vertex.meta.name.clone()))
                .collect()
        };
        assert_eq!(steps(&before), steps(&after), "{one:?} {other:?}");
        let config = |plan: &BuildPlan| serde_json::to_string(&plan.targets[0].config).unwrap();
        assert_eq!(config(&before), config(&after), "{one:?} {other:?}");
        let parsed = [one, other].map(|text| crate::parse(text).unwrap());
        assert!(is_same_build(
            &parsed[0],
            &parsed[1],
            &request,
            &Registry::new()
        ));
    }
}

#[test]
fn each_is_fixed_so() {
    for (text, expected) in [
        ("FROM a\nrun x\nEnv A=1\n", "FROM a\nRUN x\nENV A=1\n"),
        ("from a\nrun x\nEnv A=1\n", "from a\nrun x\nenv A=1\n"),
        ("FROM busybox as b\n", "FROM busybox AS b\n"),
        ("from busybox AS b\n", "from busybox as b\n"),
        // Of `From` nothing is said of `as`, of `FROM` it is.
        ("From busybox as b\nRUN x\n", "FROM busybox AS b\nRUN x\n"),
        (
            "FROM busybox AS Build\nFROM scratch\nCOPY --from=Build /a /\n",
            "FROM busybox AS build\nFROM scratch\nCOPY --from=Build /a /\n",
        ),
        ("FROM a\nENV A b\n", "FROM a\nENV A=b\n"),
        ("FROM a\nENV  A \t b c \n", "FROM a\nENV  A=\"b c\" \n"),
        ("FROM a\nENV PATH /x:$PATH\n", "FROM a\nENV PATH=/x:$PATH\n"),
        (
            "FROM a\nENV A 'b' \"c d\"\n",
            "FROM a\nENV A='b'\\ \"c d\"\n",
        ),
        ("FROM a\nENV A b\\ c d\n", "FROM a\nENV A=b\\ c\\ d\n"),
        ("FROM a\nENV A ${B:-c d}\n", "FROM a\nENV A=\"${B:-c d}\"\n"),
        (
            "# escape=`\nFROM a\nENV A C:\\dir x`\n y\n",
            "# escape=`\nFROM a\nENV A=\"C:\\dir x`\n y\"\n",
        ),
        (
            "FROM a\nLABEL a b\\\n# c\n c\n",
            "FROM a\nLABEL a=\"b\\\n# c\n c\"\n",
        ),
        ("FROM a\nENV A \\\n  b c\n", "FROM a\nENV A=\"b c\"\n"),
        ("FROM a\r\nENV A b c\r\n", "FROM a\r\nENV A=\"b c\"\r\n"),
        ("FROM a\nRUN a \\\n\n \t\n  b\n", "FROM a\nRUN a \\\n  b\n"),
        (
            "FROM a\r\nRUN a \\\r\n\r\n# c\r\n  b\r\n",
            "FROM a\r\nRUN a \\\r\n# c\r\n  b\r\n",
        ),
        ("FROM a\nRUN a \\\n\n", "FROM a\nRUN a \\\n"),
        (
            "FROM a\nEXPOSE 80/TCP 9/Udp\n",
            "FROM a\nEXPOSE 80/tcp 9/udp\n",
        ),
        (
            "FROM a\nEXPOSE [::1]:8080:80/TCP\n",
            "FROM a\nEXPOSE 80/tcp\n",
        ),
        (
            "FROM a\nARG P=1\nEXPOSE $P/TCP\n",
            "FROM a\nARG P=1\nEXPOSE $P/tcp\n",
        ),
    ] {
        let text = text
            .replace("FROM a", "FROM busybox")
            .replace("from a", "from busybox");
        let expected = expected
            .replace("FROM a", "FROM busybox")
            .replace("from a", "from busybox");
        assert_eq!(fixed(&text), expected, "{text:?}");
        let left = found(&expected);
        let left: Vec<&str> = left.iter().map(|warning| warning.rule).collect();
        assert!(
            !left.iter().any(|rule| FIXABLE.contains(rule)),
            "{left:?} {text:?}"
        );
        assert_same(&text, &expected);
    }
}

#[test]
fn what_might_change_something_is_left_alone() {
    for text in [
        // The ports would come in another order.
        "FROM busybox\nEXPOSE 80/TCP 80/sctp\n",
        "FROM busybox\nEXPOSE 1:80 70\n",
        // A variable is part of what would go.
        "FROM busybox\nARG P=1\nEXPOSE $P:80\n",
        "FROM busybox\nARG P=TCP\nEXPOSE 80/$P\n",
        // A comment stands where the equals sign would.
        "FROM busybox\nENV A \\\n# why\n b\n",
        // Not to be rewritten without a change.
        "FROM busybox\nMAINTAINER x\nCMD x\nWORKDIR y\n",
        "FROM --platform=$TARGETPLATFORM busybox\n",
        // Silenced.
        "FROM busybox\n# check=skip=LegacyKeyValueFormat\nENV A b\n",
        "# check=skip=all\nfrom busybox AS B\nRUN a \\\n\n b\n",
        // Through a keyword.
        "FROM busybox\nr\\\nun x\nRUN y\nRUN z\n",
        // A quote that is never closed.
        "FROM busybox\nLABEL a b\\\n c d' e\n",
    ] {
        let dockerfile = crate::parse(text).unwrap();
        assert_eq!(edits(text, &dockerfile, &found(text)), [], "{text:?}");
    }
}

/// One instruction, written in one of many ways.
fn instruction() -> impl Strategy<Value = String> {
    let keyword = |names: &'static [&'static str]| proptest::sample::select(names);
    let value = "[ab]([ ab$'\"\\\\{}:-]{0,6}[ab])?";
    prop_oneof![
        (
            keyword(&["RUN", "run", "Run"]),
            "[ab]( \\\\\n(\n|#x\n|  \n){0,2} ?[ab]){0,2}"
        )
            .prop_map(|(k, rest)| format!("{k} {rest}\n")),
        (
            keyword(&["ENV", "env", "EnV", "LABEL", "label"]),
            " {1,2}",
            value
        )
            .prop_map(|(k, blank, value)| format!("{k} B{blank}{value}\n")),
        (
            keyword(&["ENV", "env", "LABEL"]),
            "[ab]( ?\\\\\n(#x\n|\n)?[ab ]{0,2}[ab]){1,2}"
        )
            .prop_map(|(k, value)| format!("{k} B {value}\n")),
        (
            keyword(&["EXPOSE", "expose"]),
            "([1-3]:)?[1-3](/(tcp|TCP|Udp))?( (9:)?[7-9](/(udp|SCTP))?)?"
        )
            .prop_map(|(k, ports)| format!("{k} {ports}\n")),
        keyword(&["RUN", "run"]).prop_map(|k| format!("{k} <<E\nrun x \\\n\nenv A b\nE\n")),
        Just("# run x\n".to_owned()),
        Just("onbuild run x\n".to_owned()),
        Just("ARG A=1\n".to_owned()),
        Just("\n".to_owned()),
    ]
}

fn file() -> impl Strategy<Value = String> {
    let stage = (
        proptest::sample::select(&["FROM", "from", "From"]),
        proptest::option::of((proptest::sample::select(&["AS", "as", "As"]), "[ab][ABab]?")),
        proptest::collection::vec(instruction(), 0..6),
    );
    let stage = stage.prop_map(|(from, name, instructions)| {
        let name = name.map_or_else(String::new, |(keyword, name)| format!(" {keyword} {name}"));
        format!("{from} busybox{name}\n{}", instructions.concat())
    });
    (
        proptest::bool::ANY,
        proptest::sample::select(&["", "# escape=`\n", "\u{feff}"]),
        proptest::collection::vec(stage, 1..3),
    )
        .prop_map(|(dos, first, stages)| {
            let mut text = stages.concat();
            if first.contains('`') {
                text = text.replace('\\', "`");
            }
            if dos {
                text = text.replace('\n', "\r\n");
            }
            first.to_owned() + &text
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn a_fixed_file_builds_the_same_and_is_clean(text in file()) {
        let Ok(dockerfile) = crate::parse(&text) else { return Ok(()) };
        if plan(&dockerfile, &request(), &Registry::new()).is_err() {
            // Nothing is built, and nothing may be after it.
            let fixed = fixed(&text);
            let other = crate::parse(&fixed).unwrap();
            prop_assert!(is_same_build(&dockerfile, &other, &request(), &Registry::new()), "{:?}", fixed);
            return Ok(());
        }
        let fixed = fixed(&text);
        assert_same(&text, &fixed);
        for warning in found(&fixed) {
            // Those of which no way is found that surely says the same.
            let may_stay = ["LegacyKeyValueFormat", "ExposeProtoCasing", "ExposeInvalidFormat"];
            prop_assert!(
                !FIXABLE.contains(&warning.rule) || may_stay.contains(&warning.rule),
                "{:?} in {:?}", warning, fixed
            );
        }
        let lines = |text: &str| text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(lines(&text), lines(&fixed));
        prop_assert_eq!(text.contains("\r\n"), fixed.contains("\r\n"));
    }
}
