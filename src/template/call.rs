//! The functions of templates: Go's own, and those that docker adds.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::value::{Value, quote};

/// Why a function gave nothing.
pub enum CallError {
    /// It was given too few or too many arguments, or of the wrong kind.
    Arguments(String),
    /// It could not do it.
    Failed(String),
}

/// Name, and the least and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("and", 1, usize::MAX),
    ("or", 1, usize::MAX),
    ("not", 1, 1),
    ("len", 1, 1),
    ("index", 1, usize::MAX),
    ("slice", 1, 4),
    ("print", 0, usize::MAX),
    ("println", 0, usize::MAX),
    ("printf", 1, usize::MAX),
    ("html", 0, usize::MAX),
    ("js", 0, usize::MAX),
    ("call", 1, usize::MAX),
    ("urlquery", 0, usize::MAX),
    ("eq", 2, usize::MAX),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("json", 1, 1),
    ("join", 2, 2),
    ("split", 2, 2),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("title", 1, 1),
    ("pad", 3, 3),
    ("truncate", 2, 2),
];

/// Whether there is a function of this name.
pub fn exists(name: &str) -> bool {
    FUNCTIONS.iter().any(|(function, ..)| *function == name)
}

/// Calls a function.
pub fn call(name: &str, arguments: &[Value]) -> Result<Value, CallError> {
    let given = arguments.len();
    if let Some((_, least, most)) = FUNCTIONS.iter().find(|(function, ..)| *function == name)
        && !(*least..=*most).contains(&given)
    {
        let want = if least == most {
            least.to_string()
        } else {
            format!("at least {least}")
        };
        return Err(CallError::Arguments(format!(
            "wrong number of args for {name}: want {want} got {given}"
        )));
    }
    let text = |at: usize| match &arguments[at] {
        Value::Text(text) => Ok(&**text),
        other => Err(CallError::Arguments(format!(
            "wrong type for value; expected string; got {}",
            other.kind()
        ))),
    };
    let number = |at: usize| match &arguments[at] {
        Value::Int(number) => Ok(*number),
        other => Err(CallError::Arguments(format!(
            "wrong type for value; expected int; got {}",
            other.kind()
        ))),
    };
    let all = || -> String { shown(arguments) };
    Ok(match name {
        "not" => Value::Bool(!arguments[0].truth()),
        "len" => Value::Int(length(&arguments[0])? as i64),
        "index" => index(&arguments[0], &arguments[1..])?,
        "slice" => slice(&arguments[0], &arguments[1..])?,
        "print" => Value::text(all()),
        "println" => {
            let words: Vec<String> = arguments.iter().map(Value::show).collect();
            Value::text(words.join(" ") + "\n")
        }
        "printf" => Value::text(printf(text(0)?, &arguments[1..])),
        "html" => Value::text(escape_html(&all())),
        "js" => Value::text(escape_js(&all())),
        "call" => {
            // Neither a document nor a row has a function in it.
            let kind = arguments[0].kind();
            return Err(CallError::Failed(match &arguments[0] {
                Value::Missing | Value::Nil => "call of nil".to_owned(),
                _ => format!("non-function of type {kind}"),
            }));
        }
        "urlquery" => Value::text(escape_query(&all())),
        "eq" => Value::Bool(equal_any(arguments)?),
        "ne" => Value::Bool(!equal(&arguments[0], &arguments[1])?),
        "lt" => Value::Bool(order(arguments)? == Ordering::Less),
        "le" => Value::Bool(order(arguments)? != Ordering::Greater),
        "gt" => Value::Bool(order(arguments)? == Ordering::Greater),
        "ge" => Value::Bool(order(arguments)? != Ordering::Less),
        "json" => Value::text(arguments[0].json()),
        "join" => Value::text(join(&arguments[0], text(1)?)?),
        "split" => split(text(0)?, text(1)?),
        "lower" => Value::text(text(0)?.to_lowercase()),
        "upper" => Value::text(text(0)?.to_uppercase()),
        "title" => Value::text(title(text(0)?)),
        "pad" => {
            let spaces = |count: i64| " ".repeat(usize::try_from(count).unwrap_or(0).min(4096));
            let word = text(0)?;
            let pad = !word.is_empty();
            let (before, after) = (spaces(number(1)?), spaces(number(2)?));
            Value::text(if pad {
                format!("{before}{word}{after}")
            } else {
                String::new()
            })
        }
        "truncate" => {
            let most = usize::try_from(number(1)?).unwrap_or(0);
            Value::text(text(0)?.chars().take(most).collect::<String>())
        }
        _ => return Err(CallError::Failed("there is no such function".to_owned())),
    })
}

/// As Go's Sprint: a space between two that are no texts.
fn shown(values: &[Value]) -> String {
    let mut out = String::new();
    for (position, value) in values.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if position > 0 && !is_text(value) && !is_text(&values[position - 1]) {
            out.push(' ');
        }
        out.push_str(&value.show());
    }
    out
}

fn length(value: &Value) -> Result<usize, CallError> {
    match value {
        Value::Text(text) => Ok(text.len()),
        Value::List(items) => Ok(items.as_ref().map_or(0, |items| items.len())),
        Value::Map(map) => Ok(map.as_ref().map_or(0, |map| map.len())),
        // What JSON calls null is most often an empty slice or map of docker's.
        Value::Nil => Ok(0),
        Value::Missing => Err(CallError::Failed("len of nil pointer".to_owned())),
        other => Err(CallError::Failed(format!("len of type {}", other.kind()))),
    }
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, CallError> {
    let mut value = value.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Map(map), Value::Text(key)) => map
                .as_ref()
                .and_then(|map| map.get(&**key))
                .cloned()
                .unwrap_or_else(|| empty_like(map.as_deref())),
            (Value::Struct(fields), Value::Text(key)) => fields
                .iter()
                .find(|(name, _)| **name == **key)
                .map_or(Value::Missing, |(_, value)| value.clone()),
            (Value::List(items), Value::Int(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| items.as_ref()?.get(at).cloned())
                .ok_or_else(|| CallError::Failed(format!("index out of range: {at}")))?,
            (Value::Text(text), Value::Int(at)) => usize::try_from(*at)
                .ok()
                .and_then(|at| text.as_bytes().get(at))
                .map(|byte| Value::Int(i64::from(*byte)))
                .ok_or_else(|| CallError::Failed(format!("index out of range: {at}")))?,
            (Value::Missing | Value::Nil, _) => {
                return Err(CallError::Failed("index of untyped nil".to_owned()));
            }
            (Value::List(_) | Value::Text(_), key) => {
                return Err(CallError::Failed(format!(
                    "cannot index slice/array with type {}",
                    key.kind()
                )));
            }
            (Value::Map(_) | Value::Struct(_), key) => {
                return Err(CallError::Failed(format!(
                    "value has type {}; should be string",
                    key.kind()
                )));
            }
            (other, _) => {
                return Err(CallError::Failed(format!(
                    "can't index item of type {}",
                    other.kind()
                )));
            }
        };
    }
    Ok(value)
}

/// What Go's `index` has for a key that is not there: the zero value of the map's values.
fn empty_like(map: Option<&std::collections::BTreeMap<String, Value>>) -> Value {
    match map.and_then(|map| map.values().next()) {
        None | Some(Value::Text(_)) => Value::text(""),
        Some(Value::List(_)) => Value::List(None),
        Some(Value::Map(_)) => Value::Map(None),
        Some(_) => Value::Nil,
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, CallError> {
    let size = length(value)?;
    let mut ends = [0, size];
    for (place, bound) in ends.iter_mut().zip(bounds) {
        let Value::Int(number) = bound else {
            return Err(CallError::Failed(format!(
                "cannot index slice/array with type {}",
                bound.kind()
            )));
        };
        *place = usize::try_from(*number)
            .ok()
            .filter(|number| *number <= size)
            .ok_or_else(|| CallError::Failed(format!("index out of range: {number}")))?;
    }
    let [from, to] = ends;
    let invalid = || CallError::Failed(format!("invalid slice index: {from} > {to}"));
    match value {
        Value::Text(text) => text.get(from..to).map(Value::text).ok_or_else(invalid),
        Value::List(items) => match items {
            Some(items) => items
                .get(from..to)
                .map(|items| Value::list(items.to_vec()))
                .ok_or_else(invalid),
            None => Ok(Value::List(None)),
        },
        other => Err(CallError::Failed(format!(
            "can't slice item of type {}",
            other.kind()
        ))),
    }
}

fn equal_any(values: &[Value]) -> Result<bool, CallError> {
    for other in &values[1..] {
        if equal(&values[0], other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value, b: &Value) -> Result<bool, CallError> {
    let basic = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_) | Value::Struct(_));
    match (a, b) {
        (Value::Missing | Value::Nil, other) | (other, Value::Missing | Value::Nil) => {
            Ok(matches!(
                other,
                Value::Missing | Value::Nil | Value::List(None) | Value::Map(None)
            ))
        }
        _ if !basic(a) || !basic(b) => Err(CallError::Failed("non-comparable types".to_owned())),
        _ if a.kind() != b.kind() => Err(CallError::Failed(
            "incompatible types for comparison".to_owned(),
        )),
        _ => Ok(a == b),
    }
}

fn order(values: &[Value]) -> Result<Ordering, CallError> {
    match (&values[0], &values[1]) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b).unwrap_or(Ordering::Equal)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (a, b) if a.kind() == b.kind() => {
            Err(CallError::Failed("invalid type for comparison".to_owned()))
        }
        _ => Err(CallError::Failed(
            "incompatible types for comparison".to_owned(),
        )),
    }
}

fn join(list: &Value, separator: &str) -> Result<String, CallError> {
    let wrong = |kind| {
        CallError::Arguments(format!(
            "wrong type for value; expected []string; got {kind}"
        ))
    };
    let Value::List(items) = list else {
        return Err(wrong(list.kind()));
    };
    let mut words = Vec::new();
    for item in items.iter().flat_map(|items| items.iter()) {
        match item {
            Value::Text(text) => words.push(&**text),
            other => return Err(wrong(other.kind())),
        }
    }
    Ok(words.join(separator))
}

/// As Go's strings.Split: by letter for an empty separator.
fn split(text: &str, separator: &str) -> Value {
    let words = if separator.is_empty() {
        text.chars()
            .map(|letter| Value::text(letter.to_string()))
            .collect()
    } else {
        text.split(separator).map(Value::text).collect()
    };
    Value::list(words)
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut starts = true;
    for letter in text.chars() {
        if starts {
            out.extend(letter.to_uppercase());
        } else {
            out.push(letter);
        }
        starts = !(letter.is_alphanumeric() || letter == '_' || letter == '\'');
    }
    out
}

fn escape_html(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            letter => out.push(letter),
        }
        out
    })
}

/// As Go writes a text into JavaScript.
fn escape_js(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<'
            | '>'
            | '&'
            | '='
            | '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
        out
    })
}

fn escape_query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Go's Sprintf for `%s %q %v %d %x %t %f %%` with width, precision and the flags `-`, `0` and `+`.
fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut letters = format.chars().peekable();
    let mut values = values.iter();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let (mut left, mut zero, mut plus) = (false, false, false);
        while let Some(flag) = letters.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            left |= flag == '-';
            zero |= flag == '0';
            plus |= flag == '+';
        }
        let mut number = || {
            let mut value = None::<usize>;
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                let digit = digit as usize - '0' as usize;
                value = Some((value.unwrap_or(0) * 10 + digit).min(10_000));
            }
            value
        };
        let width = number().unwrap_or(0);
        let precision = if letters.next_if_eq(&'.').is_some() {
            let mut value = 0;
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                value = (value * 10 + digit as usize - '0' as usize).min(10_000);
            }
            Some(value)
        } else {
            None
        };
        let Some(verb) = letters.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let mut text = verb_text(verb, value, precision);
        if plus && matches!(value, Value::Int(number) if *number >= 0) && verb != 's' {
            text.insert(0, '+');
        }
        let lack = width.saturating_sub(text.chars().count());
        if left {
            out.push_str(&text);
            out.push_str(&" ".repeat(lack));
        } else if zero && matches!(value, Value::Int(_) | Value::Float(_)) {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text.as_str()),
            };
            out.push_str(sign);
            out.push_str(&"0".repeat(lack));
            out.push_str(digits);
        } else {
            out.push_str(&" ".repeat(lack));
            out.push_str(&text);
        }
    }
    let extra: Vec<String> = values
        .map(|value| format!("{}={}", value.kind(), value.show()))
        .collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn verb_text(verb: char, value: &Value, precision: Option<usize>) -> String {
    let wrong = || format!("%!{verb}({}={})", value.kind(), value.show());
    match (verb, value) {
        ('v', value) => value.show(),
        ('T', value) => value.go_type(),
        ('s', Value::Text(text)) => match precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_string(),
        },
        ('s' | 'q' | 'd', Value::List(items)) => {
            let items = items.iter().flat_map(|items| items.iter());
            let texts: Vec<String> = items.map(|item| verb_text(verb, item, precision)).collect();
            format!("[{}]", texts.join(" "))
        }
        ('s' | 'd', Value::Map(_)) => {
            let fields = value.fields();
            let texts: Vec<String> = fields
                .map(|(name, item)| format!("{name}:{}", verb_text(verb, item, precision)))
                .collect();
            format!("map[{}]", texts.join(" "))
        }
        ('q', Value::Text(text)) => quote(text),
        ('d', Value::Int(number)) => number.to_string(),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('X', Value::Int(number)) => format!("{number:X}"),
        ('o', Value::Int(number)) => format!("{number:o}"),
        ('c', Value::Int(number)) => u32::try_from(*number)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('\u{fffd}')
            .to_string(),
        ('x', Value::Text(text)) => text.bytes().fold(String::new(), |mut hex, byte| {
            // Writing to a text cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        ('t', Value::Bool(value)) => value.to_string(),
        ('f', Value::Float(number)) => format!("{number:.*}", precision.unwrap_or(6)),
        _ => wrong(),
    }
}
