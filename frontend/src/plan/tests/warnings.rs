//! What the checks say.

use super::*;

fn warnings(text: &str) -> Vec<String> {
    let warnings = plan_of(text).warnings;
    warnings
        .iter()
        .map(|w| format!("{}: {}", w.rule, w.message))
        .collect()
}

#[test]
fn rules_speak_the_references_words() {
    for (text, expected) in [
        (
            "FROM scratch AS Base\n",
            "StageNameCasing: Stage name 'Base' should be lowercase",
        ),
        (
            "FROM scratch as base\n",
            "FromAsCasing: 'as' and 'FROM' keywords' casing do not match",
        ),
        (
            "FROM scratch\nenv A=1\n",
            "ConsistentInstructionCasing: Command 'env' should match the case of the command majority (uppercase)",
        ),
        (
            "FROM scratch AS a\nFROM scratch AS a\n",
            "DuplicateStageName: Duplicate stage name \"a\", stage names should be unique",
        ),
        (
            "FROM busybox AS scratch\n",
            "ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\"",
        ),
        (
            "FROM scratch\nCMD x\n",
            "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        ),
        (
            "FROM scratch\nMAINTAINER x\n",
            "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
        ),
        (
            "ARG NAME=busybox\nFROM ${NAMS:-busybox}\n",
            "UndefinedArgInFrom: FROM argument 'NAMS' is not declared (did you mean NAME?)",
        ),
        (
            "FROM busybox\nWORKDIR x\n",
            "WorkdirRelativePath: Relative workdir \"x\" can have unexpected results if the base image changes",
        ),
        (
            "FROM busybox\nARG NAME=1\nLABEL a=$NAMES b=$NAMES\n",
            "UndefinedVar: Usage of undefined variable '$NAMES' (did you mean $NAME?)",
        ),
        (
            "FROM busybox\nENV NAMES=$NAME\n",
            "UndefinedVar: Usage of undefined variable '$NAME'",
        ),
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\n",
            "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        ),
        (
            "FROM scratch\nENV A b\n",
            "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
        ),
        (
            "FROM --platform=$TARGETPLATFORM busybox\n",
            "RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        ),
        (
            "FROM scratch\nARG API_KEY\n",
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\")",
        ),
        (
            "FROM --platform=linux/amd64 busybox\n",
            "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\"",
        ),
        (
            "FROM scratch\nEXPOSE 80/TCP\n",
            "ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
        ),
        (
            "FROM scratch\nEXPOSE 1:80\n",
            "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '1:80'",
        ),
    ] {
        assert_eq!(warnings(text), [expected], "{text}");
    }
    let request = PlanRequest {
        build_args: vec![("TAG".to_owned(), "busybox".to_owned())],
        ..request()
    };
    let plan = plan_with("ARG TAG\nFROM ${TAG}\n", &request);
    assert_eq!(
        plan.warnings[0].message,
        "Default value for ARG ${TAG} results in empty or invalid base image name"
    );
    let request = PlanRequest {
        ignored: Some(crate::ignore::IgnoreRules::parse(b"*.log\n").unwrap()),
        ..super::request()
    };
    let plan = plan_with("FROM scratch\nADD ./a.log b /\n", &request);
    assert_eq!(
        plan.warnings[0].message,
        "Attempting to Add file \"a.log\" that is excluded by .dockerignore"
    );
    let text = "# check=experimental=all\n# other words\nFROM scratch AS a\n# X is good\nARG X\n";
    assert_eq!(
        warnings(text),
        [
            "InvalidDefinitionDescription: Comment for FROM should follow the format: `# a <description>`"
        ]
    );
    let registry = Registry::new().with("arm", |config| config.architecture = "arm64".to_owned());
    let plan = try_plan("FROM arm\n", &super::request(), &registry).unwrap();
    assert_eq!(
        plan.warnings[0].message,
        "Base image arm was pulled with platform \"linux/arm64\", expected \"linux/amd64\" for current build"
    );
}

#[test]
fn what_is_right_or_silenced_says_nothing() {
    for text in [
        "ARG V=1\nFROM busybox:$V\n".replace(":$V", "").as_str(),
        "FROM busybox AS linux\nARG X\nRUN echo $NOPE\nENV A=$X\n",
        "FROM --platform=linux/amd64 busybox AS x-amd64\n",
        "FROM scratch\nSHELL [\"x\"]\nCMD y\n",
        "FROM scratch\nWORKDIR /a\nWORKDIR b\n",
        "# check=skip=StageNameCasing\nFROM scratch AS Base\n",
        "FROM scratch\n# check=skip=JSONArgsRecommended\nCMD x\n",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}
