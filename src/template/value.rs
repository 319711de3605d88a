//! Go's values, made of JSON, and how Go prints them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::Value as Json;

/// A value as a template sees it; cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// What a map has for a key that is not in it.
    Missing,
    /// A pointer to nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A slice; none is Go's nil slice.
    List(Option<Rc<Vec<Value>>>),
    /// A map: any key may be asked for. None is Go's nil map.
    Map(Option<Rc<BTreeMap<String, Value>>>),
    /// A struct: it has the fields that it has, in this order.
    Struct(Rc<Vec<(String, Value)>>),
    /// A field of a struct that its JSON leaves out because it is empty.
    Omitted(Rc<Value>),
    /// A method of a struct that has labels: given a name, it says the label. Without labels it is
    /// that of a heading.
    Label(Option<Rc<BTreeMap<String, String>>>),
}

/// What a field holds in Go, where JSON does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Objects are maps, and so is null.
    Map,
    /// Null is an empty list.
    List,
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Some(Rc::new(items)))
    }

    /// A struct of texts, as a row of a table is, with its fields in the order of the alphabet.
    pub fn row<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, text)| (name.to_owned(), Self::text(text)));
        let mut fields: Vec<_> = fields.collect();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self::Struct(Rc::new(fields))
    }

    /// The struct with further fields that its JSON leaves out.
    #[must_use]
    pub fn and_omitted<'a>(self, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let Self::Struct(own) = self else { return self };
        let mut all = Rc::unwrap_or_clone(own);
        for (name, value) in fields {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name.to_owned(), Self::Omitted(Rc::new(value))));
            }
        }
        Self::Struct(Rc::new(all))
    }

    /// A struct with `change` made to one of its fields.
    #[must_use]
    pub fn with_field(self, name: &str, change: impl FnOnce(Self) -> Self) -> Self {
        let Self::Struct(own) = self else { return self };
        let mut all = Rc::unwrap_or_clone(own);
        if let Some((_, value)) = all.iter_mut().find(|(known, _)| known == name) {
            *value = change(std::mem::replace(value, Self::Nil));
        }
        Self::Struct(Rc::new(all))
    }

    /// A list with `change` made to each of its items.
    #[must_use]
    pub fn with_items(self, change: impl Fn(Self) -> Self) -> Self {
        match self {
            Self::List(Some(items)) => {
                Self::list(Rc::unwrap_or_clone(items).into_iter().map(change).collect())
            }
            other => other,
        }
    }

    /// A struct as a map with the same keys.
    #[must_use]
    pub fn into_map(self) -> Self {
        match self {
            Self::Struct(fields) => Self::Map(Some(Rc::new(
                Rc::unwrap_or_clone(fields).into_iter().collect(),
            ))),
            other => other,
        }
    }

    /// A document, of whose fields `shape` says by name what they are where JSON does not.
    pub fn of(json: &Json, shape: &dyn Fn(&str) -> Option<Shape>) -> Self {
        Self::shaped(json, None, shape)
    }

    fn shaped(json: &Json, own: Option<Shape>, shape: &dyn Fn(&str) -> Option<Shape>) -> Self {
        match json {
            Json::Null => match own {
                Some(Shape::Map) => Self::Map(None),
                Some(Shape::List) => Self::List(None),
                None => Self::Nil,
            },
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(
                items
                    .iter()
                    .map(|item| Self::shaped(item, None, shape))
                    .collect(),
            ),
            Json::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::shaped(value, shape(name), shape)));
                if own == Some(Shape::Map) {
                    Self::Map(Some(Rc::new(fields.collect())))
                } else {
                    Self::Struct(Rc::new(fields.collect()))
                }
            }
        }
    }

    /// As JSON, with keys of maps sorted and fields of structs in their order.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        let quoted = |text: &str| Json::from(text).to_string();
        match self {
            Self::Missing | Self::Nil | Self::List(None) | Self::Map(None) => out.push_str("null"),
            Self::Omitted(value) => value.write_json(out),
            Self::Label(_) => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&Json::from(*number).to_string()),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(Some(items)) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(Some(_)) | Self::Struct(_) => {
                out.push('{');
                let kept = self
                    .fields()
                    .filter(|(_, value)| !matches!(value, Self::Omitted(_)));
                for (position, (name, value)) in kept.enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Names and values of a map (sorted) or struct.
    pub fn fields(&self) -> Box<dyn Iterator<Item = (&str, &Self)> + '_> {
        match self {
            Self::Map(Some(map)) => Box::new(map.iter().map(|(k, v)| (k.as_str(), v))),
            Self::Struct(fields) => Box::new(fields.iter().map(|(k, v)| (k.as_str(), v))),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// What a method that knows labels says of one; the heading of a column is made of its name.
    pub fn label(&self, name: &str) -> Option<Self> {
        let Self::Label(labels) = self else {
            return None;
        };
        Some(match labels {
            Some(labels) => Self::text(labels.get(name).map_or("", String::as_str)),
            None => {
                let last = name.rsplit('.').next().unwrap_or(name);
                Self::text(last.replace(['-', '_'], " "))
            }
        })
    }

    /// Whether `if` takes it for true: what is zero or empty is not.
    pub fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Nil | Self::Label(_) => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => items.as_ref().is_some_and(|items| !items.is_empty()),
            Self::Map(map) => map.as_ref().is_some_and(|map| !map.is_empty()),
            Self::Struct(_) => true,
            Self::Omitted(value) => value.truth(),
        }
    }

    /// As Go's `%v` prints it.
    pub fn show(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Missing => out.push_str("<no value>"),
            Self::Nil => out.push_str("<nil>"),
            Self::Omitted(value) => value.write(out),
            Self::Label(_) => {}
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&float(*number)),
            Self::Text(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (position, item) in items.iter().flat_map(|items| items.iter()).enumerate() {
                    if position > 0 {
                        out.push(' ');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(_) => {
                out.push_str("map[");
                for (position, (name, value)) in self.fields().enumerate() {
                    if position > 0 {
                        out.push(' ');
                    }
                    out.push_str(name);
                    out.push(':');
                    value.write(out);
                }
                out.push(']');
            }
            Self::Struct(fields) => {
                out.push('{');
                for (position, (_, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        out.push(' ');
                    }
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The name of its Go type as `%T` prints it. What a document holds is known by its JSON alone: a
    /// struct's own name is not.
    pub fn go_type(&self) -> String {
        match self {
            Self::Omitted(value) => value.go_type(),
            Self::Missing | Self::Nil => "<nil>".to_owned(),
            Self::Int(_) => "int".to_owned(),
            Self::List(items) => {
                let first = items.as_ref().and_then(|items| items.first());
                format!("[]{}", first.map_or("string".to_owned(), Self::go_type))
            }
            Self::Map(map) => {
                let first = map.as_ref().and_then(|map| map.values().next());
                let held = first.map_or("string".to_owned(), Self::go_type);
                format!("map[string]{held}")
            }
            Self::Struct(_) => "struct".to_owned(),
            other => other.kind().to_owned(),
        }
    }

    /// The name of its type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Omitted(value) => value.kind(),
            Self::Missing | Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Struct(_) => "struct",
            Self::Label(_) => "func(string) string",
        }
    }
}

/// A number as `%v` prints it: the shortest text, with an exponent from 1e21 on and below 1e-4.
fn float(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) || !number.is_finite() {
        return match number {
            _ if number.is_nan() => "NaN".to_owned(),
            _ if number == f64::INFINITY => "+Inf".to_owned(),
            _ if number == f64::NEG_INFINITY => "-Inf".to_owned(),
            _ => number.to_string(),
        };
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text as Go's `%q` quotes it.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            control if (control as u32) < 0x20 || control == '\u{7f}' => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\x{:02x}", control as u32);
            }
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
