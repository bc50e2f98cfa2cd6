//! Decoding token by token. The decoder of a tokenizer.json is a chain of steps on the list of all tokens; here each step
//! takes one token at a time and holds back what a later token could still change, so that the pieces joined equal
//! `decode` of all ids.

use crate::boundary::Failure;
use crate::tokenizer::Tokenizer;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tokenizers::{Decoder, DecoderWrapper};

pub struct DecodeStream {
    tokenizer: Arc<Tokenizer>,
    skip_special_tokens: bool,
    chain: Option<Vec<Step>>,
    // Only where a decoder cannot work token by token: all ids until the end.
    ids: Vec<u32>,
}

enum Step {
    /// Each token by itself.
    Each(DecoderWrapper),
    /// The first token of all is treated otherwise than the rest.
    FirstDiffers { decoder: DecoderWrapper, started: bool },
    /// The last token of all is treated otherwise than the rest: one token is held.
    LastDiffers { decoder: DecoderWrapper, held: Option<String> },
    /// Tokens like <0x61> are bytes; a run of them is text if all of it is valid.
    ByteRuns(Vec<u8>),
    /// Each character of a token stands for a byte.
    ByteCharacters(Vec<u8>),
    /// At most `left` characters `content` vanish from the start of the text.
    StripStart { content: char, left: usize },
    /// No decoder: tokens with spaces between them.
    Spaced { started: bool },
}

impl DecodeStream {
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special_tokens: bool) -> DecodeStream {
        let chain = match tokenizer.decoder() {
            Some(decoder) => chain_of(decoder),
            None => Some(vec![Step::Spaced { started: false }]),
        };
        DecodeStream { tokenizer, skip_special_tokens, chain, ids: Vec::new() }
    }

    /// The text that is final now; may be empty.
    pub fn add(&mut self, id: u32) -> Result<String, Failure> {
        let Some(chain) = &mut self.chain else {
            self.ids.push(id);
            return Ok(String::new());
        };
        match self.tokenizer.token_of(id) {
            Some(token) if !self.skip_special_tokens || !self.tokenizer.is_special(&token) => run(chain, vec![token]),
            _ => Ok(String::new()),
        }
    }

    /// The rest; the stream is then as new.
    pub fn finish(&mut self) -> Result<String, Failure> {
        let text = match &mut self.chain {
            None => self.tokenizer.decode(&self.ids, self.skip_special_tokens)?,
            Some(chain) => {
                let mut text = String::new();
                for index in 0..chain.len() {
                    let rest = chain[index].finish()?;
                    text += &run(&mut chain[index + 1..], rest)?;
                }
                text
            }
        };
        *self = DecodeStream::new(self.tokenizer.clone(), self.skip_special_tokens);
        Ok(text)
    }
}

fn run(chain: &mut [Step], mut tokens: Vec<String>) -> Result<String, Failure> {
    for step in chain {
        let mut next = Vec::with_capacity(tokens.len());
        for token in tokens {
            step.add(token, &mut next)?;
        }
        tokens = next;
    }
    Ok(tokens.concat())
}

impl Step {
    fn add(&mut self, token: String, out: &mut Vec<String>) -> Result<(), Failure> {
        match self {
            Step::Each(decoder) => out.extend(decoded(decoder, vec![token])?),
            Step::FirstDiffers { decoder, started } => {
                let before = usize::from(*started);
                let tokens = if *started { vec![String::new(), token] } else { vec![token] };
                out.extend(decoded(decoder, tokens)?.into_iter().skip(before));
                *started = true;
            }
            Step::LastDiffers { decoder, held } => {
                if let Some(previous) = held.replace(token) {
                    out.extend(decoded(decoder, vec![previous, String::new()])?.into_iter().take(1));
                }
            }
            Step::ByteRuns(run) => match byte_token(&token) {
                Some(byte) => run.push(byte),
                None => {
                    out.extend(end_of_run(run));
                    out.push(token);
                }
            },
            Step::ByteCharacters(pending) => {
                add_bytes(&token, pending);
                out.push(take_valid(pending));
            }
            Step::StripStart { content, left } => {
                let kept = token.char_indices().take_while(|(index, c)| c == content && *index < *left * content.len_utf8());
                let cut = kept.count();
                let rest = &token[cut * content.len_utf8()..];
                *left = if rest.is_empty() { *left - cut } else { 0 };
                out.push(rest.to_string());
            }
            Step::Spaced { started } => {
                out.push(if *started { format!(" {token}") } else { token });
                *started = true;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<String>, Failure> {
        Ok(match self {
            Step::LastDiffers { decoder, held } => match held.take() {
                Some(token) => decoded(decoder, vec![token])?,
                None => Vec::new(),
            },
            Step::ByteRuns(run) => end_of_run(run).into_iter().collect(),
            Step::ByteCharacters(pending) => vec![String::from_utf8_lossy(&std::mem::take(pending)).into_owned()],
            _ => Vec::new(),
        })
    }
}

fn decoded(decoder: &DecoderWrapper, tokens: Vec<String>) -> Result<Vec<String>, Failure> {
    decoder.decode_chain(tokens).map_err(Failure::input)
}

/// The steps of a decoder, or None where one needs all tokens at once.
fn chain_of(decoder: &DecoderWrapper) -> Option<Vec<Step>> {
    let mut all = Vec::new();
    flatten(decoder, &mut all);
    let mut chain = Vec::new();
    let mut fused = false;
    for decoder in all {
        let form = serde_json::to_value(&decoder).ok()?;
        if fused {
            chain.extend(fused_step(decoder, &form)?);
            continue;
        }
        match decoder {
            DecoderWrapper::Replace(_) | DecoderWrapper::Strip(_) => chain.push(Step::Each(decoder)),
            DecoderWrapper::Metaspace(_) | DecoderWrapper::WordPiece(_) => chain.push(Step::FirstDiffers { decoder, started: false }),
            DecoderWrapper::BPE(_) => chain.push(Step::LastDiffers { decoder, held: None }),
            DecoderWrapper::ByteFallback(_) => chain.push(Step::ByteRuns(Vec::new())),
            DecoderWrapper::ByteLevel(_) => {
                chain.push(Step::ByteCharacters(Vec::new()));
                fused = true;
            }
            DecoderWrapper::Fuse(_) => fused = true,
            DecoderWrapper::CTC(_) | DecoderWrapper::Sequence(_) => return None,
        }
    }
    Some(chain)
}

fn flatten(decoder: &DecoderWrapper, all: &mut Vec<DecoderWrapper>) {
    match decoder {
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().for_each(|inner| flatten(inner, all)),
        other => all.push(other.clone()),
    }
}

/// A step after one that has joined all tokens into one. What looks at more than a character cannot work piece by piece.
fn fused_step(decoder: DecoderWrapper, form: &Json) -> Option<Vec<Step>> {
    match decoder {
        DecoderWrapper::Fuse(_) => Some(Vec::new()),
        DecoderWrapper::Metaspace(_) => Some(vec![Step::Each(decoder)]),
        DecoderWrapper::Replace(_) if form["pattern"]["String"].as_str()?.chars().count() == 1 => Some(vec![Step::Each(decoder)]),
        DecoderWrapper::Strip(_) if form["stop"] == 0 => {
            let content = form["content"].as_str()?.chars().next()?;
            Some(vec![Step::StripStart { content, left: usize::try_from(form["start"].as_u64()?).ok()? }])
        }
        _ => None,
    }
}

fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if token.len() != 6 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

fn end_of_run(run: &mut Vec<u8>) -> Option<String> {
    if run.is_empty() {
        return None;
    }
    let count = run.len();
    Some(String::from_utf8(std::mem::take(run)).unwrap_or_else(|_| "\u{fffd}".repeat(count)))
}

fn add_bytes(token: &str, pending: &mut Vec<u8>) {
    static BYTES: OnceLock<HashMap<char, u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(byte_characters);
    match token.chars().map(|c| bytes.get(&c).copied()).collect::<Option<Vec<u8>>>() {
        Some(found) => pending.extend(found),
        None => pending.extend(token.as_bytes()),
    }
}

/// Printable bytes of Latin-1 stand for themselves; the others are the characters from U+0100 on, in order.
fn byte_characters() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut moved = 0x100..;
    let mut character = |byte: u8| if printable(byte) { char::from(byte) } else { char::from_u32(moved.next().unwrap()).unwrap() };
    (0..=255).map(|byte| (character(byte), byte)).collect()
}

/// Takes what is decided, with U+FFFD for what no later byte can mend; the start of a character stays.
fn take_valid(pending: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(pending) {
            Ok(valid) => {
                text += valid;
                pending.clear();
                return text;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                text += &String::from_utf8_lossy(&pending[..valid]);
                match error.error_len() {
                    Some(bad) => {
                        text.push('\u{fffd}');
                        pending.drain(..valid + bad);
                    }
                    None => {
                        pending.drain(..valid);
                        return text;
                    }
                }
            }
        }
    }
}
