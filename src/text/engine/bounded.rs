//! Runs foreign code, a template, in a thread of its own with bounds on memory and time. Steps of the engine are bounded
//! elsewhere; but one step may double a text, and an allocation that fails ends the process. So the allocator counts
//! what such a thread holds, and a thread that asks for too much is stopped there for good: it waits until the process
//! ends, and the caller gets an error. That leaks what it held, once for each hostile template.

use crate::boundary::{Failure, Status};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const MEMORY: isize = 256 << 20;
const STACK: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const TOO_LARGE: u8 = 2;
const ABANDONED: u8 = 3;

struct Watch {
    state: AtomicU8,
    caller: Thread,
}

thread_local! {
    static WATCH: Cell<*const Watch> = const { Cell::new(std::ptr::null()) };
    static LEFT: Cell<isize> = const { Cell::new(0) };
}

/// What `action` gives, or a Failure where it takes more than the bounds.
pub fn run<T: Send + 'static>(action: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let watch = Arc::new(Watch { state: AtomicU8::new(RUNNING), caller: thread::current() });
    let result = Arc::new(Mutex::new(None));
    let (inner_watch, inner_result) = (watch.clone(), result.clone());
    let work = move || {
        LEFT.set(MEMORY);
        WATCH.set(Arc::as_ptr(&inner_watch));
        let found = catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|payload| Err(Failure::fault(payload)));
        WATCH.set(std::ptr::null());
        *inner_result.lock().unwrap() = Some(found);
        if inner_watch.state.compare_exchange(RUNNING, DONE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            inner_watch.caller.unpark();
        }
    };
    let worker = thread::Builder::new().stack_size(STACK).spawn(work).map_err(Failure::input)?;
    let state = wait(&watch);
    if state == DONE {
        let _ = worker.join(); // it is at its end; thread sanitizers see the hand-over only so
    }
    match state {
        DONE => result.lock().unwrap().take().unwrap_or_else(|| Err(limit("gave no result"))),
        TOO_LARGE => Err(limit(&format!("takes more than {} MiB of memory", MEMORY >> 20))),
        _ => Err(limit(&format!("takes longer than {} s", PATIENCE.as_secs()))),
    }
}

fn limit(message: &str) -> Failure {
    Failure { status: Status::Limit, message: message.to_string() }
}

fn wait(watch: &Watch) -> u8 {
    let end = Instant::now() + PATIENCE;
    loop {
        let state = watch.state.load(Ordering::Acquire);
        if state != RUNNING {
            return state;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return match watch.state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => ABANDONED,
                Err(state) => state,
            };
        }
        thread::park_timeout(left);
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[inline]
fn charge(size: isize) {
    let watch = WATCH.get();
    if !watch.is_null() {
        charge_watched(unsafe { &*watch }, size);
    }
}

fn charge_watched(watch: &Watch, size: isize) {
    let left = LEFT.get() - size;
    LEFT.set(left);
    let fine = size <= 0 || (left >= 0 && watch.state.load(Ordering::Relaxed) == RUNNING);
    if !fine {
        stop_for_good(watch);
    }
}

#[cold]
fn stop_for_good(watch: &Watch) -> ! {
    if watch.state.compare_exchange(RUNNING, TOO_LARGE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        watch.caller.unpark();
    }
    loop {
        unsafe { libc::pause() };
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        charge(layout.size() as isize);
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        charge(layout.size() as isize);
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        charge(-(layout.size() as isize));
        System.dealloc(place, layout)
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        charge(size as isize - layout.size() as isize);
        System.realloc(place, layout, size)
    }
}
