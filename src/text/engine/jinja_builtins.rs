//! Filters, tests and functions that Jinja has otherwise than minijinja, or that minijinja lacks.

use crate::python_json::{number_text, tojson};
use crate::python_methods::{center, strip};
use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{escape_formatter, Environment, Error, ErrorKind};

pub fn install(environment: &mut Environment) {
    environment.add_filter("tojson", tojson);
    environment.add_filter("trim", strip);
    environment.add_filter("center", |text: &str, width: Option<usize>| center(text, width.unwrap_or(80), ' '));
    environment.add_filter("wordcount", |text: &str| text.split_whitespace().count());
    for name in ["length", "count"] {
        environment.add_filter(name, length);
    }
    for name in ["default", "d"] {
        environment.add_filter(name, default);
    }
    environment.add_filter("string", |value: &Value| if is_float(value) { number_text(value) } else { value.to_string() });
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("sequence", is_sequence);
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_function("dict", dict);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.to_vec()));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.set_formatter(|out, state, value| {
        if is_float(value) {
            return out.write_str(&number_text(value)).map_err(|_| Error::from(ErrorKind::WriteFailure));
        }
        escape_formatter(out, state, value)
    });
}

fn is_float(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

fn length(value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::from(0));
    }
    minijinja::filters::length(value).map(Value::from)
}

// Arguments are taken by hand: None as a default is not the same as no default.
fn default(value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let (named, given): (Vec<&Value>, Vec<&Value>) = args.iter().map(|value| &**value).partition(|value| value.is_kwargs());
    let argument = |index: usize, name: &str| {
        let found = given.get(index).map(|value| (*value).clone());
        found.or_else(|| named.first()?.get_attr(name).ok()).filter(|value| !value.is_undefined())
    };
    let otherwise = argument(0, "default_value").unwrap_or_else(|| Value::from(""));
    let boolean = argument(1, "boolean").is_some_and(|value| value.is_true());
    let missing = value.is_undefined() || (boolean && !value.is_true());
    Ok(if missing { otherwise } else { value.clone() })
}

fn number_options(otherwise: Option<Value>, options: &Kwargs, usual: Value) -> Result<Value, Error> {
    let otherwise = otherwise.or(options.get("default")?).unwrap_or(usual);
    options.assert_all_used()?;
    Ok(otherwise)
}

fn int(value: &Value, otherwise: Option<Value>, base: Option<u32>, options: Kwargs) -> Result<Value, Error> {
    let base = base.or(options.get("base")?).unwrap_or(10);
    let otherwise = number_options(otherwise, &options, Value::from(0))?;
    if let Some(text) = value.as_str() {
        let text = text.trim();
        let whole = (2..=36).contains(&base).then(|| i128::from_str_radix(text, base).ok()).flatten();
        return Ok(whole.or_else(|| truncated(text.parse().ok()?)).map_or(otherwise, Value::from));
    }
    if value.is_integer() {
        return Ok(value.clone());
    }
    match value.kind() {
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        ValueKind::Number => Ok(truncated(f64::try_from(value.clone())?).map_or(otherwise, Value::from)),
        _ => Ok(otherwise),
    }
}

fn truncated(number: f64) -> Option<i128> {
    number.is_finite().then_some(number as i128)
}

fn float(value: &Value, otherwise: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let otherwise = number_options(otherwise, &options, Value::from(0.0))?;
    let number = match value.kind() {
        ValueKind::String => value.as_str().and_then(|text| text.trim().parse::<f64>().ok()),
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => f64::try_from(value.clone()).ok(),
    };
    Ok(number.map_or(otherwise, Value::from))
}

fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), String | Seq | Map | Iterable | Undefined)
}

/// dict(a=1), dict(mapping, a=1), dict(list of pairs).
fn dict(from: Option<Value>, more: Kwargs) -> Result<Value, Error> {
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    if let Some(from) = from {
        let is_map = from.kind() == ValueKind::Map;
        for item in from.try_iter()? {
            pairs.push(if is_map { (item.clone(), from.get_item(&item)?) } else { (item.get_item_by_index(0)?, item.get_item_by_index(1)?) });
        }
    }
    for name in more.args() {
        let value: Value = more.get(name)?;
        let key = Value::from(name);
        match pairs.iter_mut().find(|pair| pair.0 == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    Ok(Value::from_pairs(pairs))
}
