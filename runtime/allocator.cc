#include "runtime/allocator.h"

#include <malloc.h>

namespace nearside {

namespace {

constexpr int kKeptBytes = 16 << 20;
/// Setting one of the two fixes the other at its first value, 128 KiB: LMDB's lists of pages in a
/// batch would be mapped and unmapped with each.
constexpr int kMappedFromBytes = 4 << 20;

}  // namespace

void KeepFreedMemory() {
  // A C library that refuses goes on as it would have.
  (void)mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  (void)mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
}

}  // namespace nearside
