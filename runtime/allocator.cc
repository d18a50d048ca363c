// The edge's allocator is jemalloc (docs/decisions/dependencies.md): whatever links
// nearside_allocator has its malloc. It reads how it is used from this name.

extern "C" {
/// A thread of its own gives back what has been free for ten seconds, also while nothing is
/// allocated. What is freed and taken again with each batch of the cache's writer stays until then.
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true";
}
