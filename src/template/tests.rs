//! Templates and what docker's own engine makes of them.

use serde_json::json;

use super::*;

fn shape(name: &str) -> Option<Shape> {
    match name {
        "Labels" | "Ports" => Some(Shape::Map),
        "Env" | "Cmd" | "Nothing" => Some(Shape::List),
        _ => None,
    }
}

fn document() -> Value {
    let json = json!({
        "Id": "sha256:abc", "Size": 1_234, "Ratio": 0.5, "On": true, "Pointer": null, "Nothing": null,
        "Config": {
            "Env": ["A=b", "C=d"], "Cmd": null, "Labels": {"b": "2", "a": "1"},
            "Ports": {"80/tcp": [{"HostPort": "8080"}], "90/tcp": null},
        },
    });
    Value::of(&json, &shape)
}

fn made(text: &str) -> String {
    match Template::parse(text).and_then(|template| template.render(&document())) {
        Ok(made) => made,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn values_print_as_in_go() {
    for (template, expected) in [
        ("plain", "plain"),
        ("{{.Id}}", "sha256:abc"),
        ("{{.Size}} {{.Ratio}} {{.On}}", "1234 0.5 true"),
        ("{{.Config.Env}}", "[A=b C=d]"),
        ("{{.Config.Cmd}} {{.Pointer}}", "[] <nil>"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Labels.a}}{{.Config.Labels.none}}", "1<no value>"),
        ("{{.Config.Ports}}", "map[80/tcp:[{8080}] 90/tcp:<nil>]"),
        (
            "{{json .Config.Labels}} {{json .Config.Cmd}}",
            r#"{"a":"1","b":"2"} null"#,
        ),
        ("{{json .Config.Env}}", r#"["A=b","C=d"]"#),
        ("{{ json \"<&>\" }}", "\"<&>\""),
        ("{{print 1 2 \"x\" 3}}|{{println 1 \"x\"}}", "1 2x3|1 x\n"),
        (
            "{{printf \"%T %T %T %T %T\" .Id 1 .On .Config.Env .Config.Labels}}",
            "string int bool []string map[string]string",
        ),
        (
            "{{js \"it's <b> & \\\"c\\\"\"}}",
            "it\\'s \\u003Cb\\u003E \\u0026 \\\"c\\\"",
        ),
        (
            "{{range $port, $to := .Config.Ports}}{{$port}}={{len $to}} {{end}}",
            "80/tcp=1 90/tcp=0 ",
        ),
        ("{{1.5e30}} {{0x10}} {{'a'}} {{-3}}", "1.5e+30 16 97 -3"),
    ] {
        assert_eq!(made(template), expected, "{template}");
    }
}

#[test]
fn blocks_choose_and_repeat() {
    for (template, expected) in [
        ("{{if .On}}y{{else}}n{{end}}", "y"),
        ("{{if .Nothing}}y{{else}}n{{end}}", "n"),
        (
            "{{if eq .Size 1}}a{{else if gt .Size 1000}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=b><C=d>"),
        (
            "{{range $i, $e := .Config.Env}}{{$i}}{{$e}};{{end}}",
            "0A=b;1C=d;",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}",
            "a=1 b=2 ",
        ),
        ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
        (
            "{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}",
            "A=b,C=d",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"C=d\"}}{{break}}{{end}}{{.}}{{end}}",
            "A=b",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"A=b\"}}{{continue}}{{end}}{{.}}{{end}}",
            "C=d",
        ),
        (
            "{{with .Config}}{{.Labels.a}}{{$.Id}}{{end}}",
            "1sha256:abc",
        ),
        ("{{with .Nothing}}x{{else}}y{{end}}", "y"),
        ("{{with $x := .Size}}{{$x}}{{end}}", "1234"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("a {{- 1 -}} b{{/* no */}}c {{- /* no */ -}} d", "a1bcd"),
        (
            "{{range $p, $c := .Config.Ports}}{{$p}}->{{range $c}}{{.HostPort}}{{end}} {{end}}",
            "80/tcp->8080 90/tcp-> ",
        ),
    ] {
        assert_eq!(made(template), expected, "{template}");
    }
}

#[test]
fn functions_do_what_they_do_in_go_and_docker() {
    for (template, expected) in [
        ("{{len .Config.Env}} {{len .Id}}", "2 10"),
        (
            "{{index .Config.Env 1}} {{index .Config.Labels \"a\"}}",
            "C=d 1",
        ),
        ("{{index .Config.Labels \"none\"}}.", "."),
        (
            "{{(index (index .Config.Ports \"80/tcp\") 0).HostPort}}",
            "8080",
        ),
        ("{{join .Config.Env \", \"}}", "A=b, C=d"),
        ("{{join (split .Id \":\") \"-\"}}", "sha256-abc"),
        ("{{split .Id \":\"}}", "[sha256 abc]"),
        ("{{upper .Id | lower | title}}", "Sha256:Abc"),
        ("{{.Id | printf \"%s-%q\" \"x\"}}", "x-\"sha256:abc\""),
        (
            "{{printf \"%v %d %5d|%-5d|%05d\" .Config.Env 7 7 7 7}}",
            "[A=b C=d] 7     7|7    |00007",
        ),
        (
            "{{printf \"%d\" \"x\"}} {{printf \"%s\"}}",
            "%!d(string=x) %!s(MISSING)",
        ),
        ("{{printf \"%.3s|%.2f|%%\" \"abcdef\" 1.005}}", "abc|1.00|%"),
        ("{{printf \"x\" 1}}", "x%!(EXTRA int64=1)"),
        (
            "{{and .On .Size}} {{and .Nothing .Id}} {{or .Nothing .Id}} {{not .On}}",
            "1234 [] sha256:abc false",
        ),
        (
            "{{eq .Size 1 1234}} {{ne .Id \"x\"}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}}",
            "true true true true false",
        ),
        (
            "{{slice .Id 7}} {{truncate .Id 6}} {{pad \"x\" 1 2}}|",
            "abc sha256  x  |",
        ),
        (
            "{{html \"<a>\"}} {{urlquery \"a b&c\"}}",
            "&lt;a&gt; a+b%26c",
        ),
    ] {
        assert_eq!(made(template), expected, "{template}");
    }
}

#[test]
fn errors_say_where_in_gos_words() {
    for (template, expected) in [
        ("{{", "template: :1: unclosed action"),
        ("a\n{{.Id", "template: :2: unclosed action"),
        ("{{nope}}", "template: :1: function \"nope\" not defined"),
        ("{{if .On}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{else}}", "template: :1: unexpected {{else}}"),
        ("{{}}", "template: :1: missing value for command"),
        ("{{$x}}", "template: :1: undefined variable \"$x\""),
        ("{{\"a}}", "template: :1: unterminated quoted string"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        (
            "{{template \"x\"}}",
            "template: :1: {{template}} is not done",
        ),
        (
            "{{.Nope}}",
            "template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{.Id.X}}",
            "template: :1:2: executing \"\" at <.Id.X>: can't evaluate field X in type string",
        ),
        (
            "{{index .Config.Env 9}}",
            "template: :1:2: executing \"\" at <index>: error calling index: index out of range: 9",
        ),
        (
            "{{len 3}}",
            "template: :1:2: executing \"\" at <len>: error calling len: len of type int64",
        ),
        (
            "{{len}}",
            "template: :1:2: executing \"\" at <len>: wrong number of args for len: want 1 got 0",
        ),
        (
            "{{range .Id}}{{end}}",
            "template: :1:8: executing \"\" at <.Id>: range can't iterate over sha256:abc",
        ),
    ] {
        assert_eq!(made(template), format!("error: {expected}"), "{template}");
    }
}

#[test]
fn no_template_panics_or_runs_forever() {
    let deep = format!(
        "{}1{}",
        "{{if true}}".repeat(5_000),
        "{{end}}".repeat(5_000)
    );
    assert!(made(&deep).contains("nested too deeply"));
    let chain = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(5_000));
    assert!(made(&chain).contains("nested too deeply"));
    let open = format!("{{{{{}1{}}}}}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(made(&open).contains("nested too deeply"));
    for text in [
        "{{-}}",
        "{{.}}{{",
        "{{(}}",
        "{{|}}",
        "{{1|}}",
        "{{.A.}}",
        "{{ $ := }}",
        "{{é}}",
        "{{'ab'}}",
        "{{\"\\x\"}}",
        "{{.Id(1)}}",
        "{{- -}}",
        "{{/*}}",
        "{{\u{0}}}",
        "{{1.2.3}}",
        "{{slice .Id 3 1}}",
        "{{slice \"é\" 1}}",
        "{{range 3}}{{.}}{{end}}",
    ] {
        made(text);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_template_or_an_error(text in "[-{}.$a-z \"`|()/*:=,0-9é]{0,60}") {
        made(&format!("{{{{{text}"));
        made(&text);
    }
}
