//! A tokenizer.json, with the tokens that tokenizer_config.json adds.

use crate::boundary::Failure;
use crate::bpe_file;
use crate::piece_tokenizer;
use crate::sentencepiece_file::SentencePieceFile;
use serde_json::Value as Json;
use std::collections::HashSet;
use std::str::FromStr;
use tokenizers::models::ModelWrapper;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, DecoderWrapper};

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

struct Addition {
    token: AddedToken,
    if_absent: bool,
    makes_special: bool,
    numbered: bool,
}

impl Addition {
    /// What to add, given the tokens that are there.
    fn against(self, known: &[AddedToken]) -> Option<AddedToken> {
        match known.iter().find(|old| old.content == self.token.content) {
            Some(old) if self.if_absent => (self.makes_special && !old.special).then(|| old.clone().special(true)),
            Some(old) if *old == self.token => None,
            _ => Some(self.token),
        }
    }
}

fn additions(list: Vec<Json>) -> Result<Vec<Addition>, serde_json::Error> {
    let addition = |form: Json| {
        let (if_absent, makes_special, numbered) = (form["if_absent"] == true, form["makes_special"] == true, form["numbered"] == true);
        Ok(Addition { token: serde_json::from_value(form)?, if_absent, makes_special, numbered })
    };
    list.into_iter().map(addition).collect()
}

impl Tokenizer {
    /// `added`: a JSON list of added tokens in the form they have in tokenizer.json, without ids. One with "if_absent" is
    /// left out where the tokenizer has an added token of the same content, or the list a "numbered" one; "makes_special"
    /// marks the tokenizer's as special.
    pub fn open(json: &[u8], added: &[u8]) -> Result<Tokenizer, Failure> {
        let json = std::str::from_utf8(json).map_err(|error| Failure::file(format!("not UTF-8 from byte {} on", error.valid_up_to())))?;
        let mut inner = match bpe_file::open(json) {
            Some(found) => found,
            None => tokenizers::Tokenizer::from_str(json).map_err(Failure::file)?,
        };
        inner.with_truncation(None).map_err(Failure::file)?;
        inner.with_padding(None);
        add(&mut inner, added)?;
        if inner.get_post_processor().is_none() {
            put_around(&mut inner, None, None)?;
        }
        Ok(Tokenizer { inner })
    }

    /// A SentencePiece model. `form`: as `piece_tokenizer::build` wants it, and the tokens to put around a text, "before"
    /// and "behind".
    pub fn open_pieces(model: &[u8], form: &[u8], added: &[u8]) -> Result<Tokenizer, Failure> {
        let form: Json = serde_json::from_slice(form).map_err(Failure::file)?;
        let mut inner = piece_tokenizer::build(&SentencePieceFile::read(model)?, &form)?;
        add(&mut inner, added)?;
        put_around(&mut inner, form["before"].as_str(), form["behind"].as_str())?;
        Ok(Tokenizer { inner })
    }

    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, Failure> {
        let encoding = self.inner.encode_fast(text, add_special_tokens).map_err(Failure::input)?;
        Ok(encoding.get_ids().to_vec())
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, Failure> {
        self.inner.decode(ids, skip_special_tokens).map_err(Failure::input)
    }

    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    pub fn token_of(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub fn is_special(&self, token: &str) -> bool {
        self.inner.get_added_vocabulary().is_special_token(token)
    }

    pub fn size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn is_bpe(&self) -> bool {
        matches!(self.inner.get_model(), ModelWrapper::BPE(_))
    }

    pub fn decoder(&self) -> Option<&DecoderWrapper> {
        self.inner.get_decoder()
    }
}

fn add(inner: &mut tokenizers::Tokenizer, added: &[u8]) -> Result<(), Failure> {
    let added: Vec<Addition> = serde_json::from_slice::<Vec<Json>>(added).and_then(additions).map_err(Failure::file)?;
    let known: Vec<AddedToken> = inner.get_added_tokens_decoder().into_values().collect();
    let numbered: HashSet<String> = added.iter().filter(|new| new.numbered).map(|new| new.token.content.clone()).collect();
    let is_known = |content: &str| known.iter().any(|old| old.content == content);
    let counts = |new: &Addition| new.numbered || !new.if_absent || !numbered.contains(&new.token.content) || is_known(&new.token.content);
    let wanted: Vec<AddedToken> = added.into_iter().filter(counts).filter_map(|new| new.against(&known)).collect();
    inner.add_tokens(wanted).map_err(Failure::file)?;
    Ok(())
}

fn put_around(inner: &mut tokenizers::Tokenizer, before: Option<&str>, behind: Option<&str>) -> Result<(), Failure> {
    let text = [before.map(|token| format!("{token}:0")), Some("$A:0".into()), behind.map(|token| format!("{token}:0"))];
    let single = text.into_iter().flatten().collect::<Vec<String>>().join(" ");
    let id_of = |token: &str| inner.token_to_id(token).map(|id| (token.to_string(), id));
    let special: Vec<(String, u32)> = [before, behind].into_iter().flatten().filter_map(id_of).collect();
    let template = TemplateProcessing::builder().try_single(single).map_err(Failure::file)?.special_tokens(special).build();
    inner.with_post_processor(Some(template.map_err(Failure::file)?));
    Ok(())
}
