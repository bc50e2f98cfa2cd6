//! Opens a tokenizer.json with a BPE model faster than the crate's own reader, which takes the model through two generic
//! trees before it builds it. Here vocabulary and merges are read straight into their maps, side by
//! side, and the crate reads the rest. Whatever is unusual gives None: then the crate reads all, and words the error.

use ahash::AHashMap;
use serde_json::value::RawValue;
use std::collections::HashMap;
use tokenizers::models::bpe::{BpeBuilder, BPE};
use tokenizers::models::ModelWrapper;
use tokenizers::{AddedToken, Tokenizer};

type Fields<'a> = HashMap<String, &'a RawValue>;
type Merges = Vec<(String, String)>;

pub fn open(json: &str) -> Option<Tokenizer> {
    let mut fields: Fields = serde_json::from_str(json).ok()?;
    let mut model: Fields = serde_json::from_str(fields.remove("model")?.get()).ok()?;
    if model.get("type")?.get() != "\"BPE\"" {
        return None;
    }
    let (vocab, merges) = (model.remove("vocab")?, model.remove("merges")?);
    let added = fields.remove("added_tokens").map_or("[]", RawValue::get);
    let (vocab, merges) = std::thread::scope(|scope| {
        let merges = scope.spawn(|| merges_of(merges.get()));
        (serde_json::from_str::<AHashMap<String, u32>>(vocab.get()).ok(), merges.join().ok().flatten())
    });
    let mut tokenizer = rest_of(&fields, &model)?;
    let ModelWrapper::BPE(form) = tokenizer.get_model() else {
        return None;
    };
    let bpe = model_of(form, vocab?, merges?)?;
    tokenizer.with_model(bpe);
    tokenizer.add_tokens(serde_json::from_str::<Vec<AddedToken>>(added).ok()?).ok()?;
    Some(tokenizer)
}

fn merges_of(json: &str) -> Option<Merges> {
    if let Ok(pairs) = serde_json::from_str::<Merges>(json) {
        return Some(pairs);
    }
    let lines: Vec<String> = serde_json::from_str(json).ok()?;
    let pairs = lines.iter().filter(|line| !line.starts_with("#version"));
    let split = |line: &String| line.split_once(' ').filter(|pair| !pair.1.contains(' ')).map(|(a, b)| (a.to_string(), b.to_string()));
    pairs.map(split).collect()
}

/// The tokenizer with an empty vocabulary.
fn rest_of(fields: &Fields, model: &Fields) -> Option<Tokenizer> {
    let join = |fields: &Fields| -> Option<String> {
        let texts: Option<Vec<String>> =
            fields.iter().map(|(name, value)| Some(format!("{}:{}", serde_json::to_string(name).ok()?, value.get()))).collect();
        Some(texts?.join(","))
    };
    let model = format!(r#""model":{{{},"vocab":{{}},"merges":[]}}"#, join(model)?);
    let rest = join(fields)?;
    let all = if rest.is_empty() { format!("{{{model}}}") } else { format!("{{{rest},{model}}}") };
    all.parse().ok()
}

fn model_of(form: &BPE, vocab: AHashMap<String, u32>, merges: Merges) -> Option<BPE> {
    let mut builder = BpeBuilder::new()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(form.fuse_unk)
        .byte_fallback(form.byte_fallback)
        .ignore_merges(form.ignore_merges);
    if let Some(dropout) = form.dropout {
        builder = builder.dropout(dropout);
    }
    if let Some(token) = &form.unk_token {
        builder = builder.unk_token(token.clone());
    }
    if let Some(prefix) = &form.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix.clone());
    }
    if let Some(suffix) = &form.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix.clone());
    }
    builder.build().ok()
}
