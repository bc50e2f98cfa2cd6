//! The C functions declared in src/text/engine.h. Panics end here, as errors.

mod boundary;
mod bounded;
mod bpe_file;
mod chat_template;
mod decode_stream;
mod jinja_builtins;
mod piece_tokenizer;
mod python_json;
mod python_methods;
mod sentencepiece_file;
mod template_source;
mod tokenizer;

use boundary::{give, guarded, slice_of, text_of, Bytes, Failure, Status};
use chat_template::{ChatTemplate, Limits};
use decode_stream::DecodeStream;
use sentencepiece_file::SentencePieceFile;
use std::sync::Arc;
use tokenizer::Tokenizer;

/// # Safety
/// `bytes` came from this library, and is given back once.
#[no_mangle]
pub unsafe extern "C" fn pippin_text_free(bytes: Bytes) {
    bytes.release();
}

/// # Safety
/// Pointers are valid for their sizes; `out` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_open(
    json: *const u8,
    size: usize,
    added: *const u8,
    added_size: usize,
    out: *mut *const Tokenizer,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        let tokenizer = Tokenizer::open(slice_of(json, size), slice_of(added, added_size))?;
        *out = Arc::into_raw(Arc::new(tokenizer));
        Ok(())
    })
}

/// # Safety
/// As `pippin_tokenizer_open`.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_open_pieces(
    model: *const u8,
    size: usize,
    form: *const u8,
    form_size: usize,
    added: *const u8,
    added_size: usize,
    out: *mut *const Tokenizer,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        let tokenizer = Tokenizer::open_pieces(slice_of(model, size), slice_of(form, form_size), slice_of(added, added_size))?;
        *out = Arc::into_raw(Arc::new(tokenizer));
        Ok(())
    })
}

/// # Safety
/// Pointers are valid for their sizes; `description` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_pieces_describe(model: *const u8, size: usize, description: *mut Bytes, message: *mut Bytes) -> Status {
    guarded(message, || {
        let file = SentencePieceFile::read(slice_of(model, size))?;
        give(description, file.description().to_string().into_bytes());
        Ok(())
    })
}

/// # Safety
/// `tokenizer` came from `pippin_tokenizer_open` or `pippin_tokenizer_open_pieces`, and is given back once.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_close(tokenizer: *const Tokenizer) {
    drop(Arc::from_raw(tokenizer));
}

/// # Safety
/// Pointers are valid for their sizes; `ids` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const u8,
    size: usize,
    add_special_tokens: bool,
    ids: *mut Bytes,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        let found = (*tokenizer).encode(text_of(text, size)?, add_special_tokens)?;
        give(ids, found.iter().flat_map(|id| id.to_ne_bytes()).collect());
        Ok(())
    })
}

/// # Safety
/// Pointers are valid for their sizes; `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    count: usize,
    skip_special_tokens: bool,
    text: *mut Bytes,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        let found = (*tokenizer).decode(slice_of(ids, count), skip_special_tokens)?;
        give(text, found.into_bytes());
        Ok(())
    })
}

/// # Safety
/// Pointers are valid for their sizes; `id` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_id_of(tokenizer: *const Tokenizer, token: *const u8, size: usize, id: *mut u32) -> bool {
    match text_of(token, size).ok().and_then(|token| (*tokenizer).id_of(token)) {
        Some(found) => {
            *id = found;
            true
        }
        None => false,
    }
}

/// # Safety
/// `tokenizer` is open; `token` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_token_of(tokenizer: *const Tokenizer, id: u32, token: *mut Bytes) -> bool {
    match (*tokenizer).token_of(id) {
        Some(found) => {
            give(token, found.into_bytes());
            true
        }
        None => false,
    }
}

/// # Safety
/// `tokenizer` is open.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_size(tokenizer: *const Tokenizer) -> usize {
    (*tokenizer).size()
}

/// # Safety
/// `tokenizer` is open.
#[no_mangle]
pub unsafe extern "C" fn pippin_tokenizer_is_bpe(tokenizer: *const Tokenizer) -> bool {
    (*tokenizer).is_bpe()
}

/// # Safety
/// `tokenizer` is open; `stream` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_stream_open(
    tokenizer: *const Tokenizer,
    skip_special_tokens: bool,
    stream: *mut *mut DecodeStream,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        Arc::increment_strong_count(tokenizer);
        let shared = Arc::from_raw(tokenizer);
        *stream = Box::into_raw(Box::new(DecodeStream::new(shared, skip_special_tokens)));
        Ok(())
    })
}

/// # Safety
/// `stream` came from `pippin_stream_open`, and is given back once.
#[no_mangle]
pub unsafe extern "C" fn pippin_stream_close(stream: *mut DecodeStream) {
    drop(Box::from_raw(stream));
}

/// # Safety
/// `stream` is open and used by one thread at a time; `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_stream_add(stream: *mut DecodeStream, id: u32, text: *mut Bytes, message: *mut Bytes) -> Status {
    guarded(message, || {
        give(text, (*stream).add(id)?.into_bytes());
        Ok(())
    })
}

/// # Safety
/// As `pippin_stream_add`.
#[no_mangle]
pub unsafe extern "C" fn pippin_stream_finish(stream: *mut DecodeStream, text: *mut Bytes, message: *mut Bytes) -> Status {
    guarded(message, || {
        give(text, (*stream).finish()?.into_bytes());
        Ok(())
    })
}

/// # Safety
/// Pointers are valid for their sizes; `out` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_open(
    source: *const u8,
    size: usize,
    out: *mut *const ChatTemplate,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        let source = text_of(source, size)?.to_string();
        let template = bounded::run(move || ChatTemplate::open(&source))?;
        *out = Arc::into_raw(Arc::new(template));
        Ok(())
    })
}

/// # Safety
/// `template` came from `pippin_template_open`, and is given back once.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_close(template: *const ChatTemplate) {
    drop(Arc::from_raw(template));
}

/// # Safety
/// Pointers are valid for their sizes; `text` and `message` can be written.
#[no_mangle]
pub unsafe extern "C" fn pippin_template_render(
    template: *const ChatTemplate,
    variables: *const u8,
    size: usize,
    limits: Limits,
    text: *mut Bytes,
    message: *mut Bytes,
) -> Status {
    guarded(message, || {
        Arc::increment_strong_count(template);
        let template = Arc::from_raw(template);
        let variables = text_of(variables, size)?.to_string();
        let rendered = bounded::run(move || {
            let values = serde_json::from_str(&variables).map_err(Failure::input)?;
            template.render(&values, limits)
        })?;
        give(text, rendered.into_bytes());
        Ok(())
    })
}
