//! `RUN --device`: which device a step asks for.

use solver::op::DeviceRequest;

use super::csv::fields;
use super::error::PlanError;
use super::parse_bool;
use crate::suggest;

/// `[name=]NAME[,required[=BOOL]]`. A word with `=` that is no key is a name.
pub(super) fn parse(text: &str) -> Result<DeviceRequest, PlanError> {
    let (mut name, mut required) = (String::new(), false);
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => required = true,
            ("required", Some(value)) => {
                let message = || PlanError::new(format!("invalid value for required: {value}"));
                required = parse_bool(value).ok_or_else(message)?;
            }
            ("name", Some(value)) if name.is_empty() => value.clone_into(&mut name),
            ("name", Some(_)) => {
                return Err(PlanError::new(format!("device name already set to {name}")));
            }
            _ if name.is_empty() => name = field.into_owned(),
            (_, None) => {
                let message = format!("invalid field '{field}' must be a key=value pair");
                return Err(PlanError::new(message));
            }
            (key, Some(_)) => {
                return Err(PlanError::new(suggest::with_suggestion(
                    format!("unexpected key '{key}' in '{field}'"),
                    key,
                    ["name", "required"],
                )));
            }
        }
    }
    if name.is_empty() {
        return Err(PlanError::new(format!(
            "the name of the device is missing in --device={text}"
        )));
    }
    Ok(DeviceRequest { name, required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_and_may_be_required() {
        for (text, name, required) in [
            ("vendor1.com/device=foo", "vendor1.com/device=foo", false),
            (
                "vendor1.com/device=*,required",
                "vendor1.com/device=*",
                true,
            ),
            ("name=class1,required=true", "class1", true),
            ("required=0,vendor.com/x", "vendor.com/x", false),
            ("\"v.com/c=a,b\",REQUIRED", "v.com/c=a,b", true),
        ] {
            let name = name.to_owned();
            assert_eq!(
                parse(text).unwrap(),
                DeviceRequest { name, required },
                "{text}"
            );
        }
        for (text, message) in [
            ("a,b", "invalid field 'b' must be a key=value pair"),
            ("a,name=b", "device name already set to a"),
            ("a,required=perhaps", "invalid value for required: perhaps"),
            (
                "a,requird=1",
                "unexpected key 'requird' in 'requird=1' (did you mean required?)",
            ),
            ("a,x/y=1", "unexpected key 'x/y' in 'x/y=1'"),
            (
                "required",
                "the name of the device is missing in --device=required",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message, "{text}");
        }
    }
}
