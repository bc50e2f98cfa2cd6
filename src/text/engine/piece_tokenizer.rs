//! The tokenizer that transformers 5.23 makes of a SentencePiece model: its classes LlamaTokenizer and GemmaTokenizer,
//! and TokenizersBackend for what has no class of its own. None asks the model's own rules for spaces.

use crate::boundary::Failure;
use crate::sentencepiece_file::SentencePieceFile;
use ahash::AHashMap;
use serde_json::{json, Value as Json};
use tokenizers::models::bpe::BPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::{NormalizerWrapper, Precompiled, Sequence};
use tokenizers::Tokenizer;

/// `form`: "class" ("llama", "gemma", "generic"), "prepend_scheme" of llama, "unk_token" of gemma, and "renamed", a list
/// of ids with the contents that generic puts in place of pieces.
pub fn build(file: &SentencePieceFile, form: &Json) -> Result<Tokenizer, Failure> {
    match form["class"].as_str() {
        Some("llama") => around(bpe(file, &[], None, true)?, llama(form)),
        Some("gemma") => around(bpe(file, &[], form["unk_token"].as_str(), true)?, gemma()),
        _ => generic(file, form),
    }
}

fn spaces_back(more: &[Json]) -> Json {
    let mut decoders = vec![json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})];
    decoders.extend_from_slice(more);
    json!({"type": "Sequence", "decoders": decoders})
}

fn bytes_back() -> [Json; 2] {
    [json!({"type": "ByteFallback"}), json!({"type": "Fuse"})]
}

fn marked_spaces() -> Json {
    json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
}

fn llama(form: &Json) -> Json {
    let scheme = &form["prepend_scheme"];
    let [bytes, fuse] = bytes_back();
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    let decoders = if scheme == "never" { vec![bytes, fuse] } else { vec![bytes, fuse, strip] };
    json!({
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false},
        "decoder": spaces_back(&decoders),
    })
}

fn gemma() -> Json {
    json!({
        "normalizer": marked_spaces(),
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
        "decoder": spaces_back(&bytes_back()),
    })
}

fn generic(file: &SentencePieceFile, form: &Json) -> Result<Tokenizer, Failure> {
    let bytes = file.falls_back_to_bytes();
    let renamed: Vec<(usize, String)> = serde_json::from_value(form["renamed"].clone()).map_err(Failure::file)?;
    let model = match file.is_unigram() {
        true if !renamed.is_empty() => return Err(Failure::file("numbered tokens beside a Unigram model")),
        true => unigram(file, bytes)?,
        false => bpe(file, &renamed, Some(file.unknown_piece()), bytes)?,
    };
    let decoder = if bytes { spaces_back(&bytes_back()) } else { spaces_back(&[]) };
    let mut tokenizer = around(model, json!({"normalizer": marked_spaces(), "decoder": decoder}))?;
    if !file.charsmap.is_empty() {
        let first = NormalizerWrapper::Precompiled(Precompiled::from(&file.charsmap).map_err(|_| Failure::file("a broken table of characters"))?);
        let steps = std::iter::once(first).chain(tokenizer.get_normalizer().cloned()).collect();
        tokenizer.with_normalizer(Some(Sequence::new(steps))).map_err(Failure::file)?;
    }
    Ok(tokenizer)
}

/// `steps`: fields of a tokenizer.json.
fn around(model: ModelWrapper, mut steps: Json) -> Result<Tokenizer, Failure> {
    steps["version"] = "1.0".into();
    steps["model"] = json!({"type": "BPE", "vocab": {}, "merges": []});
    let mut tokenizer: Tokenizer = steps.to_string().parse().map_err(Failure::file)?;
    tokenizer.with_model(model);
    Ok(tokenizer)
}

/// The package copies a tokenizer by way of JSON, and its reader rounds scores in the last place. Equal paths through a
/// text are told apart by that, so it is done here too.
fn unigram(file: &SentencePieceFile, bytes: bool) -> Result<ModelWrapper, Failure> {
    let vocabulary = file.pieces.iter().map(|piece| (piece.text().to_string(), piece.weight())).collect();
    let unknown = file.unknown_id().ok_or_else(|| Failure::file("the unknown piece's id is no piece"))?;
    let model = Unigram::from(vocabulary, Some(unknown), bytes).map_err(Failure::file)?;
    let copy = serde_json::to_string(&model).and_then(|json| serde_json::from_str(&json)).map_err(Failure::file)?;
    Ok(ModelWrapper::Unigram(copy))
}

fn bpe(file: &SentencePieceFile, renamed: &[(usize, String)], unknown: Option<&str>, bytes: bool) -> Result<ModelWrapper, Failure> {
    let ids = 0u32..;
    let mut vocabulary: AHashMap<String, u32> = file.pieces.iter().zip(ids).map(|(piece, id)| (piece.text().to_string(), id)).collect();
    let merges = merges_of(file, &vocabulary);
    rename(file, renamed, &mut vocabulary);
    let mut builder = BPE::builder().vocab_and_merges(vocabulary, merges).fuse_unk(true).byte_fallback(bytes);
    if let Some(unknown) = unknown {
        builder = builder.unk_token(unknown.to_string());
    }
    Ok(ModelWrapper::BPE(builder.build().map_err(Failure::file)?))
}

/// Every cut of a piece into two pieces is a merge; the order of the pieces is the order of the merges, then the length
/// of the left part. Scores have no part in it.
fn merges_of(file: &SentencePieceFile, vocabulary: &AHashMap<String, u32>) -> Vec<(String, String)> {
    let mut merges = Vec::new();
    for piece in &file.pieces {
        for (cut, _) in piece.text().char_indices().skip(1) {
            let (left, right) = piece.text().split_at(cut);
            if vocabulary.contains_key(left) && vocabulary.contains_key(right) {
                merges.push((left.to_string(), right.to_string()));
            }
        }
    }
    merges
}

fn rename(file: &SentencePieceFile, renamed: &[(usize, String)], vocabulary: &mut AHashMap<String, u32>) {
    let mut current: AHashMap<usize, &str> = AHashMap::new();
    for (id, content) in renamed {
        let Some(piece) = file.pieces.get(*id) else { continue };
        let old = current.get(id).copied().unwrap_or(piece.text());
        if old == content || vocabulary.contains_key(content) {
            continue;
        }
        if let Some(number) = vocabulary.remove(old) {
            vocabulary.insert(content.clone(), number);
            current.insert(*id, content);
        }
    }
}
