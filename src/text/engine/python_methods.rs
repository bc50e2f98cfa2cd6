//! Methods of Python's strings, dictionaries and lists that chat templates call and minijinja-contrib lacks or has otherwise.

use minijinja::value::{from_args, Kwargs, Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

pub fn unknown_method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => text_method(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq => list_method(value, method, args)?,
        _ => None,
    };
    match own {
        Some(found) => Ok(found),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// The filter `trim`.
pub fn strip(value: &Value, chars: Option<Value>) -> Result<String, Error> {
    let text = value.to_string();
    Ok(stripped(&text, chars.as_ref().and_then(Value::as_str), true, true).to_string())
}

fn text_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Value>,) = from_args(args)?;
            let chars = chars.as_ref().and_then(Value::as_str);
            Value::from(stripped(text, chars, method != "rstrip", method != "lstrip"))
        }
        "split" | "rsplit" => split(text, args, method == "rsplit")?,
        "splitlines" => splitlines(text, args)?,
        "partition" | "rpartition" => partition(text, args, method == "rpartition")?,
        "startswith" | "endswith" if args.len() > 1 => has_end(text, method == "startswith", args)?,
        "swapcase" => {
            let () = from_args(args)?;
            let swapped = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
            Value::from(text.chars().map(swapped).collect::<String>())
        }
        "title" => {
            let () = from_args(args)?;
            Value::from(title(text))
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            Value::from(justified(text, method, width, fill.unwrap_or(' '))?)
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "isdigit" | "isdecimal" => {
            let () = from_args(args)?;
            Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit()))
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let found = if method == "index" { text.find(part) } else { text.rfind(part) };
            let found = found.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            Value::from(text[..found].chars().count())
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            let missing = width.min(WIDEST).saturating_sub(text.chars().count());
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        _ => return Ok(None),
    }))
}

/// str.startswith and str.endswith with bounds, which count characters; negative ones count from the end.
fn has_end(text: &str, at_start: bool, args: &[Value]) -> Result<Value, Error> {
    let (what, start, end): (Value, Option<i64>, Option<i64>) = from_args(args)?;
    let count = text.chars().count() as i64;
    let bound = |at: i64| (if at < 0 { at + count } else { at }).clamp(0, count) as usize;
    let (start, end) = (bound(start.unwrap_or(0)), bound(end.unwrap_or(count)));
    let part: String = text.chars().take(end).skip(start).collect();
    let matches = |what: &Value| what.as_str().is_some_and(|what| if at_start { part.starts_with(what) } else { part.ends_with(what) });
    Ok(Value::from(match what.kind() {
        ValueKind::String => matches(&what),
        _ => what.try_iter()?.any(|what| matches(&what)),
    }))
}

/// str.title: a letter behind anything that is no letter becomes large, the others small.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

const WIDEST: usize = 10_000;

fn justified(text: &str, method: &str, width: usize, fill: char) -> Result<String, Error> {
    let missing = width.min(WIDEST).saturating_sub(text.chars().count());
    let fill = |count: usize| fill.to_string().repeat(count);
    Ok(match method {
        "ljust" => format!("{text}{}", fill(missing)),
        "rjust" => format!("{}{text}", fill(missing)),
        _ => {
            // Python puts the odd one left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", fill(left), fill(missing - left))
        }
    })
}

/// The filter `center`.
pub fn center(text: &str, width: usize, fill: char) -> Result<String, Error> {
    justified(text, "center", width, fill)
}

fn list_method(list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method != "index" {
        return Ok(None);
    }
    let (what,): (&Value,) = from_args(args)?;
    match list.try_iter()?.position(|item| item == *what) {
        Some(found) => Ok(Some(Value::from(found))),
        None => Err(Error::new(ErrorKind::InvalidOperation, format!("{what:?} is not in list"))),
    }
}

/// What str.isspace() says, in one character.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn stripped<'a>(text: &'a str, chars: Option<&str>, start: bool, end: bool) -> &'a str {
    let cut = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if start { text.trim_start_matches(cut) } else { text };
    if end {
        text.trim_end_matches(cut)
    } else {
        text
    }
}

fn split(text: &str, args: &[Value], from_end: bool) -> Result<Value, Error> {
    let (separator, limit, options): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = separator.or(options.get::<Option<Value>>("sep")?).filter(|value| !value.is_none());
    let limit = limit.or(options.get::<Option<i64>>("maxsplit")?).filter(|limit| *limit >= 0).map_or(usize::MAX, |limit| limit as usize);
    options.assert_all_used()?;
    let count = limit.saturating_add(1);
    let parts: Vec<&str> = match separator.as_ref().map(|value| value.as_str().unwrap_or_default()) {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(separator) if from_end => reversed(text.rsplitn(count, separator).collect()),
        Some(separator) => text.splitn(count, separator).collect(),
        None if from_end => words_from_end(text, limit),
        None => words(text, limit),
    };
    Ok(Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>()))
}

fn reversed<T>(mut list: Vec<T>) -> Vec<T> {
    list.reverse();
    list
}

fn words(text: &str, limit: usize) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if found.len() == limit {
            found.push(rest.trim_end_matches(is_space));
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        found.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    found
}

fn words_from_end(text: &str, limit: usize) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if found.len() == limit {
            found.push(rest);
            break;
        }
        let start = rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(index, c)| index + c.len_utf8());
        found.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    reversed(found)
}

fn splitlines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep, options): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = keep.or(options.get::<Option<bool>>("keepends")?).unwrap_or(false);
    options.assert_all_used()?;
    let is_end = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let mark = if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(0, char::len_utf8) };
        lines.push(Value::from(&rest[..if keep { end + mark } else { end }]));
        rest = &rest[end + mark..];
    }
    Ok(Value::from(lines))
}

fn partition(text: &str, args: &[Value], from_end: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    let found = if from_end { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if from_end => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}
