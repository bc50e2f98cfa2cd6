//! A tokenizer.model: SentencePiece's protobuf, as far as a tokenizer is made of it. Source: sentencepiece_model.proto.

use crate::boundary::Failure;
use prost::Message;
use serde_json::{json, Value as Json};
use std::collections::HashSet;

/// Far above real vocabularies; merges are looked for at every cut of a piece, so long ones cost their length squared.
const MOST_PIECES: usize = 1 << 21;
const LONGEST_PIECE: usize = 512;
/// The tables that come with SentencePiece have 240 KB.
const LARGEST_CHARSMAP: usize = 1 << 20;

const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNIGRAM: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub struct Piece {
    #[prost(string, optional, tag = "1")]
    content: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3", default = "1")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "40", default = "0")]
    unk_id: Option<i32>,
    #[prost(int32, optional, tag = "41", default = "1")]
    bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42", default = "2")]
    eos_id: Option<i32>,
    #[prost(string, optional, tag = "45", default = "<unk>")]
    unk_piece: Option<String>,
    #[prost(string, optional, tag = "46", default = "<s>")]
    bos_piece: Option<String>,
    #[prost(string, optional, tag = "47", default = "</s>")]
    eos_piece: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer_spec: Option<NormalizerSpec>,
}

impl Piece {
    pub fn text(&self) -> &str {
        self.content()
    }

    pub fn weight(&self) -> f64 {
        f64::from(self.score())
    }
}

pub struct SentencePieceFile {
    pub pieces: Vec<Piece>,
    trainer: TrainerSpec,
    pub charsmap: Vec<u8>,
}

impl SentencePieceFile {
    /// Pieces are there once each, not empty, not too long, with finite scores.
    pub fn read(bytes: &[u8]) -> Result<SentencePieceFile, Failure> {
        let proto = ModelProto::decode(bytes).map_err(|error| Failure::file(format!("no SentencePiece model: {error}")))?;
        if proto.pieces.is_empty() || proto.pieces.len() > MOST_PIECES {
            return Err(Failure::file(format!("a SentencePiece model of {} pieces", proto.pieces.len())));
        }
        let mut seen = HashSet::with_capacity(proto.pieces.len());
        for (id, piece) in proto.pieces.iter().enumerate() {
            let text = piece.text();
            if text.is_empty() || text.len() > LONGEST_PIECE || !piece.weight().is_finite() || !seen.insert(text) {
                return Err(Failure::file(format!("piece {id} is empty, too long, there twice, or its score is no number")));
            }
        }
        let charsmap = proto.normalizer_spec.and_then(|spec| spec.precompiled_charsmap).unwrap_or_default();
        if charsmap.len() > LARGEST_CHARSMAP {
            return Err(Failure::file(format!("a table of characters of {} bytes", charsmap.len())));
        }
        Ok(SentencePieceFile { pieces: proto.pieces, trainer: proto.trainer_spec.unwrap_or_default(), charsmap })
    }

    pub fn is_unigram(&self) -> bool {
        self.trainer.model_type() == UNIGRAM
    }

    pub fn falls_back_to_bytes(&self) -> bool {
        self.trainer.byte_fallback()
    }

    pub fn unknown_piece(&self) -> &str {
        self.trainer.unk_piece()
    }

    /// Of the piece for what the vocabulary lacks.
    pub fn unknown_id(&self) -> Option<usize> {
        usize::try_from(self.trainer.unk_id()).ok().filter(|id| *id < self.pieces.len())
    }

    /// The special tokens it names, and the pieces that are found in a text before it is cut.
    pub fn description(&self) -> Json {
        let named = |id: i32, piece: &str, otherwise: &str| match id {
            id if id < 0 => Json::Null,
            _ if piece.is_empty() => otherwise.into(),
            _ => piece.into(),
        };
        let trainer = &self.trainer;
        let added = self.pieces.iter().filter(|piece| matches!(piece.kind(), CONTROL | USER_DEFINED));
        let added: Vec<Json> = added.map(|piece| json!({"content": piece.text(), "special": piece.kind() == CONTROL})).collect();
        json!({
            "bos_token": named(trainer.bos_id(), trainer.bos_piece(), "<s>"),
            "eos_token": named(trainer.eos_id(), trainer.eos_piece(), "</s>"),
            "unk_token": named(trainer.unk_id(), trainer.unk_piece(), "<unk>"),
            "added": added,
        })
    }
}
