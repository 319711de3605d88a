//! Lists as docker prints them: columns, JSON, or each row by a template.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::output::print;
use crate::report::{Class, Failure};
use crate::template::{Template, Value};

/// Least width of a column.
const NARROWEST: usize = 10;
/// Spaces between two columns, at least.
const GAP: usize = 3;

/// What a list is made of.
pub struct Columns {
    /// Names of all fields of a row, for templates, and their headings.
    pub fields: &'static [(&'static str, &'static str)],
    /// Fields of the table that is shown when nothing else is asked for.
    pub shown: Vec<&'static str>,
}

/// A row: as many texts as there are fields.
pub type Row = Vec<String>;

impl Columns {
    /// Prints rows in a format: `table`, `table TEMPLATE`, `json`, or a template.
    pub fn print(&self, format: Option<&str>, rows: &[Row]) -> Result<(), Failure> {
        print(&self.render(format, rows, None)?)
    }

    /// The same of things that have labels, as many as there are rows: `{{.Label "name"}}` is one.
    pub fn print_labelled(
        &self,
        format: Option<&str>,
        rows: &[Row],
        labels: &[BTreeMap<String, String>],
    ) -> Result<(), Failure> {
        print(&self.render(format, rows, Some(labels))?)
    }

    /// The same, refusing a template that fits no row even when there is no row to show.
    pub fn print_labelled_or_refuse(
        &self,
        format: Option<&str>,
        rows: &[Row],
        labels: &[BTreeMap<String, String>],
    ) -> Result<(), Failure> {
        if custom(format).is_some() {
            let empty = vec![String::new(); self.fields.len()];
            self.render(format, &[empty], Some(&[BTreeMap::new()]))?;
        }
        self.print_labelled(format, rows, labels)
    }

    fn render(
        &self,
        format: Option<&str>,
        rows: &[Row],
        labels: Option<&[BTreeMap<String, String>]>,
    ) -> Result<String, Failure> {
        let format = custom(format).unwrap_or("table");
        let (table, text) = match format.strip_prefix("table") {
            Some("") => {
                let cells = self.shown.iter().map(|field| format!("{{{{.{field}}}}}"));
                (true, cells.collect::<Vec<_>>().join("\t"))
            }
            Some(rest) if rest.starts_with(char::is_whitespace) => (true, unescape(rest.trim())),
            _ => (false, unescape(format)),
        };
        let json = format == "json";
        let template = Template::parse(&text).map_err(|error| malformed(&error))?;
        let mut lines = Vec::new();
        if table {
            let headings = self.fields.iter();
            let headings = headings.map(|(name, heading)| (*name, (*heading).to_owned()));
            let headings = Value::row(headings);
            let headings = match labels {
                Some(_) => headings.and_omitted([("Label", Value::Label(None))]),
                None => headings,
            };
            lines.push(line(&template, &headings)?);
        }
        for (at, row) in rows.iter().enumerate() {
            let fields = self.fields.iter().zip(row);
            let fields = fields.map(|((name, _), text)| (*name, text.clone()));
            lines.push(if json {
                let sorted: BTreeMap<String, Value> = fields
                    .map(|(name, text)| (name.to_owned(), Value::text(text)))
                    .collect();
                Value::Map(Some(Rc::new(sorted))).json()
            } else {
                let row = Value::row(fields);
                let row = match labels.and_then(|labels| labels.get(at)) {
                    Some(own) => {
                        row.and_omitted([("Label", Value::Label(Some(Rc::new(own.clone()))))])
                    }
                    None => row,
                };
                line(&template, &row)?
            });
        }
        Ok(if table {
            align(&lines)
        } else {
            lines.iter().flat_map(|line| [line, "\n"]).collect()
        })
    }
}

/// A format that is not the table that a list is anyway: such a one is heeded even where ids alone
/// are asked for.
pub fn custom(format: Option<&str>) -> Option<&str> {
    format
        .map(str::trim)
        .filter(|format| !matches!(*format, "" | "table"))
}

fn line(template: &Template, row: &Value) -> Result<String, Failure> {
    template.render(row).map_err(|error| malformed(&error))
}

/// What is said of a template that cannot be used.
pub fn malformed(error: &crate::template::TemplateError) -> Failure {
    Failure::new(Class::Refused, format!("template parsing error: {error}"))
}

/// The same of one that cannot even be read, where docker has a code of its own for it.
pub fn unreadable(error: crate::template::TemplateError) -> Failure {
    Failure {
        class: Class::Container(64),
        ..malformed(&error)
    }
}

/// Shells hand `\t` on as two letters.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// Puts the cells of lines, which are separated by tabs, below each other.
pub fn align(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths = Vec::<usize>::new();
    for row in &rows {
        for (position, cell) in row.iter().enumerate().take(row.len() - 1) {
            let width = (cell.chars().count() + GAP).max(NARROWEST);
            match widths.get_mut(position) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in &rows {
        for (position, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if position + 1 < row.len() {
                let lack = widths[position].saturating_sub(cell.chars().count());
                out.push_str(&" ".repeat(lack));
            }
        }
        out.push('\n');
    }
    out
}

/// Bytes with three digits, as docker has them: `7.8MB`, `123MB`, `1.23GB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["kB", "MB", "GB", "TB", "PB"], 3)
}

/// Bytes with four digits, where docker is more exact: `1.984MB`.
pub fn exact_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["kB", "MB", "GB", "TB", "PB"], 4)
}

/// Bytes with four digits and a unit of 1,024s: `1.938MiB`.
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["KiB", "MiB", "GiB", "TiB"], 4)
}

fn scaled(bytes: u64, step: f64, units: &[&'static str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < step {
            break;
        }
        value /= step;
        unit = larger;
    }
    let whole = value.log10().floor().max(0.0) as usize;
    let text = format!("{value:.*}", (digits - 1).saturating_sub(whole));
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// At most `most` letters, the last of them an ellipsis if something is left out.
pub fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{start}\u{2026}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: Option<&str>) -> String {
        let columns = Columns {
            fields: &[("ID", "IMAGE ID"), ("Name", "NAME"), ("Size", "SIZE")],
            shown: vec!["Name", "ID", "Size"],
        };
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["a", "a-rather-long-name", "1B"]),
            row(["b", "é", "2B"]),
        ];
        let labels = [
            BTreeMap::from([("a.b-c".to_owned(), "v".to_owned())]),
            BTreeMap::new(),
        ];
        match columns.render(format, &rows, Some(&labels)) {
            Ok(text) => text,
            Err(failure) => failure.title,
        }
    }

    #[test]
    fn rows_are_columns_or_json_or_what_a_template_makes_of_them() {
        let table = "NAME                 IMAGE ID   SIZE\n\
                     a-rather-long-name   a          1B\n\
                     é                    b          2B\n";
        for (format, expected) in [
            (None, table),
            (Some("table"), table),
            (Some(""), table),
            (Some("{{.ID}}={{.Label \"a.b-c\"}}"), "a=v\nb=\n"),
            (
                Some("table {{.ID}}\\t{{.Label \"a.b-c\"}}"),
                "IMAGE ID   b c\na          v\nb          \n",
            ),
            (
                Some("table {{.ID}}\\t{{.Size}}"),
                "IMAGE ID   SIZE\na          1B\nb          2B\n",
            ),
            (Some("{{.ID}}:{{.Size}}"), "a:1B\nb:2B\n"),
            (
                Some("{{.ID}}\\t{{lower .Name}}"),
                "a\ta-rather-long-name\nb\té\n",
            ),
            (
                Some("json"),
                "{\"ID\":\"a\",\"Name\":\"a-rather-long-name\",\"Size\":\"1B\"}\n{\"ID\":\"b\",\"Name\":\"é\",\"Size\":\"2B\"}\n",
            ),
            (
                Some("{{"),
                "template parsing error: template: :1: unclosed action",
            ),
        ] {
            assert_eq!(rendered(format), expected, "{format:?}");
        }
        for wrong in ["{{.Nope}}", "{{.Label}}", "{{.ID \"x\"}}"] {
            let said = rendered(Some(wrong));
            assert!(said.starts_with("template parsing error: "), "{said}");
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1kB"),
            (7_800_000, "7.8MB"),
            (12_340_000, "12.3MB"),
            (123_456_789, "123MB"),
            (1_234_000_000, "1.23GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(ellipsis("abcdef", 6), "abcdef");
        assert_eq!(ellipsis("ééééé", 3), "éé…");
        assert_eq!(ellipsis("x", 0), "…");
    }

    #[test]
    fn sizes_have_three_digits_or_four() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_984_321, "1.984MB"),
            (500_000, "500kB"),
            (12_345_678, "12.35MB"),
            (123_456_789, "123.5MB"),
        ] {
            assert_eq!(exact_size(bytes), text);
        }
        for (bytes, text) in [
            (0, "0B"),
            (1_536, "1.5KiB"),
            (2_000_000, "1.907MiB"),
            (1_000 << 10, "1000KiB"),
            (64 << 20, "64MiB"),
        ] {
            assert_eq!(binary_size(bytes), text);
        }
        for (bytes, text) in [
            (7_800_000, "7.8MB"),
            (123_456_789, "123MB"),
            (1_234_567_890, "1.23GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
