//! The process's allocator, for C as well: librdkafka allocates an event's record and each of its headers on one thread and
//! frees them on another, for which the C library's allocator is slow.

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is freed goes back to the system after a second: sooner, the pages of each batch would be asked for anew. Where jemalloc looks by another name, as on macOS, its defaults hold.
#[cfg(not(target_env = "msvc"))]
#[allow(unsafe_code, reason = "the name by which jemalloc looks for its settings at the start; the text is a constant")]
#[unsafe(export_name = "malloc_conf")]
static SETTINGS: Option<&'static std::ffi::c_char> =
    Some(unsafe { &*c"narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_max:8192".as_ptr() });
