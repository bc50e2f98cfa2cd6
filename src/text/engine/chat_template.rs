//! A chat template, rendered as transformers renders it: Jinja with trimmed blocks and a few functions more.

use crate::boundary::{Failure, Status};
use crate::jinja_builtins;
use crate::python_methods::unknown_method;
use crate::template_source::prepared;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Value};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value as Json;
use std::ffi::CString;

/// Bounds of one rendering: steps of the engine, bytes of text. `now`: seconds since 1970 for strftime_now; 0 is the clock.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    pub steps: u64,
    pub bytes: usize,
    pub now: i64,
}

pub struct ChatTemplate {
    source: String,
}

impl ChatTemplate {
    pub fn open(source: &str) -> Result<ChatTemplate, Failure> {
        let template = ChatTemplate { source: prepared(source) };
        environment(0).template_from_str(&template.source).map_err(|error| failure_of(&error))?;
        Ok(template)
    }

    pub fn render(&self, variables: &Json, limits: Limits) -> Result<String, Failure> {
        let mut environment = environment(limits.now);
        environment.set_fuel(Some(limits.steps));
        let template = environment.template_from_str(&self.source).map_err(|error| failure_of(&error))?;
        let mut text = Bounded { bytes: Vec::new(), limit: limits.bytes };
        template.render_captured_to(value_of(variables), &mut text).map_err(|error| failure_of(&error))?;
        String::from_utf8(text.bytes).map_err(Failure::input)
    }
}

/// A writer that refuses what goes beyond its limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for &mut Bounded {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        if piece.len() > self.limit - self.bytes.len() {
            return Err(std::io::Error::other(format!("the text exceeds {} bytes", self.limit)));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const RAISED: &str = "raise_exception: ";

fn environment<'a>(now: i64) -> Environment<'a> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the default delimiters are valid"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method);
    jinja_builtins::install(&mut environment);
    environment.add_function("raise_exception", |message: Rest<Value>| -> Result<Value, Error> {
        let text = message.first().map(Value::to_string).unwrap_or_default();
        Err(Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{text}")))
    });
    environment.add_function("strftime_now", move |format: String| strftime(&format, now));
    environment
}

fn failure_of(error: &Error) -> Failure {
    let detail = error.detail().unwrap_or_default();
    let place = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    if let Some(message) = detail.strip_prefix(RAISED) {
        return Failure { status: Status::Raised, message: message.to_string() };
    }
    let status = match error.kind() {
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => Status::Limit,
        _ => Status::BadFile,
    };
    let text = if detail.is_empty() { error.kind().to_string() } else { format!("{}: {detail}", error.kind()) };
    Failure { status, message: format!("{text}{place}") }
}

pub fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => number_of(number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        Json::Object(items) => Value::from_pairs(items.iter().map(|(key, item)| (key.as_str(), value_of(item)))),
    }
}

fn number_of(number: &serde_json::Number) -> Value {
    if let Some(value) = number.as_i64() {
        return Value::from(value);
    }
    match number.as_u64() {
        Some(value) => Value::from(value),
        None => Value::from(number.as_f64().unwrap_or(f64::NAN)),
    }
}

fn strftime(format: &str, now: i64) -> Result<String, Error> {
    let refuse = |text: &str| Error::new(ErrorKind::InvalidOperation, text.to_string());
    let format = CString::new(format).map_err(|_| refuse("strftime_now: a zero byte in the format"))?;
    let mut buffer = vec![0u8; 4096];
    let written = unsafe {
        let seconds: libc::time_t = if now == 0 { libc::time(std::ptr::null_mut()) } else { now as libc::time_t };
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut parts).is_null() {
            return Err(refuse("strftime_now: no such time"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &parts)
    };
    buffer.truncate(written);
    String::from_utf8(buffer).map_err(|_| refuse("strftime_now: not UTF-8"))
}
