//! Reading a request's body: a JSON object and nothing else.

use serde::de::DeserializeOwned;

use crate::json::Object;

/// The longest name of a field that is repeated to the client.
const LONGEST_FIELD_NAME: usize = 64;

/// Reads a body as a JSON object.
///
/// `T` refuses unknown fields by `#[serde(deny_unknown_fields)]`; serde refuses repeated ones.
///
/// # Errors
///
/// What is wrong, naming the field but never showing a value.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|err| {
        let path = err.path().to_string();
        describe(&path, err.inner())
    })?;
    json.end().map_err(|_| NOT_JSON.to_owned())?;
    Ok(value)
}

const NOT_JSON: &str = "the body is not valid JSON";

/// serde_json's own text may show a value, and that may be a secret.
fn describe(path: &str, err: &serde_json::Error) -> String {
    if !err.is_data() {
        return NOT_JSON.to_owned();
    }
    let text = err.to_string();
    for kind in ["missing", "unknown", "duplicate"] {
        let name = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" field `")?.split('`').next());
        let Some(name) = name else { continue };
        // The path ends at the field or at the object around it, by the kind of error.
        let around = path.strip_suffix(name).map_or(path, |around| around.trim_end_matches('.'));
        return match around {
            "" | "." => format!("{kind} field `{}`", shown(name)),
            around => format!("{kind} field `{}` of `{}`", shown(name), shown(around)),
        };
    }
    match path {
        "." => "the body is not a JSON object".to_owned(),
        path => format!("field `{}` is not valid", shown(path)),
    }
}

/// A name that is safe to repeat: what the client sent, if it looks like a name.
fn shown(name: &str) -> &str {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]-".contains(c));
    if plain && name.len() <= LONGEST_FIELD_NAME { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Input {
        code: String,
        app_id: Option<String>,
        #[serde(default)]
        items: Vec<Object<Line>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        sku: String,
    }

    fn problem(body: &str) -> String {
        parse::<Input>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_object_is_read() {
        let input: Input = parse(br#" {"code":"x","appId":null,"items":[{"sku":"a"}]} "#).unwrap();
        assert_eq!((input.code.as_str(), input.app_id), ("x", None));
        assert_eq!(input.items[0].0.sku, "a");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in [r#"["x"]"#, "[]", "null", "1", r#""x""#, "true"] {
            assert_eq!(problem(body), "the body is not a JSON object", "{body}");
        }
        assert_eq!(problem(r#"{"code":"x","items":[["a"]]}"#), "field `items[0]` is not valid");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in ["", "{", r#"{"code":"x"}}"#, r#"{"code":"x"} x"#, "{code:1}", "\u{feff}{}", "a=b"] {
            assert_eq!(problem(body), "the body is not valid JSON", "{body}");
        }
        assert_eq!(parse::<Input>(b"{\"code\":\"\xff\"}").unwrap_err(), "the body is not valid JSON");
    }

    #[test]
    fn the_field_is_named_and_its_value_is_not_shown() {
        for (body, expected) in [
            ("{}", "missing field `code`"),
            (r#"{"code":"x","openid":"hunter2"}"#, "unknown field `openid`"),
            (r#"{"code":"x","code":"hunter2"}"#, "duplicate field `code`"),
            (r#"{"code":["hunter2"]}"#, "field `code` is not valid"),
            (r#"{"code":"x","appId":{"hunter2":1}}"#, "field `appId` is not valid"),
            (r#"{"code":"x","items":[{"sku":"a","sku":"b"}]}"#, "duplicate field `sku` of `items[0]`"),
            (r#"{"code":"x","items":[{"sku":"a"},{}]}"#, "missing field `sku` of `items[1]`"),
            (r#"{"code":"x","items":[{"price":1}]}"#, "unknown field `price` of `items[0]`"),
            (r#"{"code":"x","items":[{"sku":1}]}"#, "field `items[0].sku` is not valid"),
            (r#"{"code":"x","hunter2 or not":1}"#, "unknown field `?`"),
        ] {
            assert_eq!(problem(body), expected, "{body}");
        }
    }
}
