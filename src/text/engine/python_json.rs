//! The filter `tojson` as transformers has it: Python's json.dumps, with its keywords and its way to write numbers.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

pub fn tojson(value: &Value, ensure_ascii: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let ascii = ensure_ascii.or(options.get::<Option<Value>>("ensure_ascii")?).is_some_and(|value| value.is_true());
    let indent = indent_of(options.get::<Option<Value>>("indent")?)?;
    let (item, key) = separators_of(options.get::<Option<Value>>("separators")?, indent.is_some())?;
    let sort_keys = options.get::<Option<Value>>("sort_keys")?.is_some_and(|value| value.is_true());
    options.assert_all_used()?;
    let mut writer = Writer { out: String::new(), ascii, indent, item, key, sort_keys };
    writer.value(value, 0)?;
    Ok(writer.out)
}

fn indent_of(indent: Option<Value>) -> Result<Option<String>, Error> {
    let Some(indent) = indent.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if let Some(text) = indent.as_str() {
        return Ok(Some(text.to_string()));
    }
    let width = i64::try_from(indent)?.max(0);
    if width > 1000 {
        return Err(refused("tojson: an indent above 1000"));
    }
    Ok(Some(" ".repeat(width as usize)))
}

fn separators_of(separators: Option<Value>, indented: bool) -> Result<(String, String), Error> {
    match separators.filter(|value| !value.is_none()) {
        None => Ok((if indented { "," } else { ", " }.into(), ": ".into())),
        Some(pair) => {
            let texts: Vec<String> = pair.try_iter()?.map(|text| text.to_string()).collect();
            let [item, key] = <[String; 2]>::try_from(texts).map_err(|_| refused("tojson: separators must be two texts"))?;
            Ok((item, key))
        }
    }
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.to_string())
}

struct Writer {
    out: String,
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > 200 {
            return Err(refused("tojson: nested too deep"));
        }
        match value.kind() {
            ValueKind::None => self.out += "null",
            ValueKind::Bool => self.out += if value.is_true() { "true" } else { "false" },
            ValueKind::Number => self.out += &number_text(value),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            kind => return Err(refused(&format!("tojson: a value of type {kind} is not JSON"))),
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut count = 0;
        for item in value.try_iter()? {
            self.start(count, depth + 1);
            self.value(&item, depth + 1)?;
            count += 1;
        }
        self.end(count, depth, ']');
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        self.out.push('{');
        for (index, key) in keys.iter().enumerate() {
            self.start(index, depth + 1);
            let name = match key.kind() {
                ValueKind::None => "null".to_string(),
                ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_string(),
                ValueKind::Number => number_text(key),
                _ => key.to_string(),
            };
            self.text(&name);
            self.out += &self.key.clone();
            self.value(&value.get_item(key)?, depth + 1)?;
        }
        self.end(keys.len(), depth, '}');
        Ok(())
    }

    fn start(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out += &self.item;
        }
        self.line(depth);
    }

    fn end(&mut self, count: usize, depth: usize, bracket: char) {
        if count > 0 {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out += &indent.repeat(depth);
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out += "\\\"",
                '\\' => self.out += "\\\\",
                '\n' => self.out += "\\n",
                '\r' => self.out += "\\r",
                '\t' => self.out += "\\t",
                '\u{8}' => self.out += "\\b",
                '\u{c}' => self.out += "\\f",
                c if u32::from(c) < 0x20 || (self.ascii && !(' '..='~').contains(&c)) => self.escape(c),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

/// A number as Python's repr has it.
pub fn number_text(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map(float_text).unwrap_or_else(|_| value.to_string())
}

fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}
