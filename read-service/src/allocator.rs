//! The process's allocator, for C as well: a query's many small pieces, and the messages that librdkafka hands from thread to thread,
//! are faster to get and to give back than from the C library's.

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two arenas: one for each half of the service would do. What is freed goes back to the system after a second, so that a backlog
/// leaves nothing behind. Where jemalloc looks by another name, as on macOS, its defaults hold.
#[cfg(not(target_env = "msvc"))]
#[allow(unsafe_code, reason = "the name by which jemalloc looks for its settings at the start; the text is a constant")]
#[unsafe(export_name = "malloc_conf")]
static SETTINGS: Option<&'static std::ffi::c_char> =
    Some(unsafe { &*c"narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_max:8192".as_ptr() });
