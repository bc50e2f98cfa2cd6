//! What crosses to C++: owned bytes, a status, and the guard that turns panics into errors.

use std::any::Any;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

/// Memory of this library, given to the caller, who hands it back to `pippin_text_free`.
#[repr(C)]
pub struct Bytes {
    data: *mut u8,
    size: usize,
}

impl Bytes {
    fn new(content: Vec<u8>) -> Bytes {
        let size = content.len();
        let data = Box::into_raw(content.into_boxed_slice()).cast::<u8>();
        Bytes { data, size }
    }

    pub unsafe fn release(self) {
        if !self.data.is_null() {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.data, self.size)));
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Fine = 0,
    BadFile = 1,
    BadInput = 2,
    Raised = 3,
    Limit = 4,
    Fault = 5,
}

#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn file(message: impl ToString) -> Failure {
        Failure { status: Status::BadFile, message: message.to_string() }
    }

    pub fn input(message: impl ToString) -> Failure {
        Failure { status: Status::BadInput, message: message.to_string() }
    }

    pub fn fault(payload: Box<dyn Any + Send>) -> Failure {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string()));
        Failure { status: Status::Fault, message: text.unwrap_or_else(|| "a fault without a message".into()) }
    }
}

pub fn give(place: *mut Bytes, content: Vec<u8>) {
    unsafe { place.write(Bytes::new(content)) }
}

pub unsafe fn slice_of<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        return &[];
    }
    std::slice::from_raw_parts(data, size)
}

pub unsafe fn text_of<'a>(data: *const u8, size: usize) -> Result<&'a str, Failure> {
    std::str::from_utf8(slice_of(data, size)).map_err(|error| Failure::input(format!("not UTF-8 from byte {} on", error.valid_up_to())))
}

/// Runs `action`; what goes wrong becomes a status and a message. Nothing is printed.
pub fn guarded(message: *mut Bytes, action: impl FnOnce() -> Result<(), Failure>) -> Status {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| set_hook(Box::new(|_| {})));
    let failure = match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(())) => return Status::Fine,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::fault(payload),
    };
    give(message, failure.message.into_bytes());
    failure.status
}
