#pragma once

// The C library's allocator, told once how Nearside uses it.

namespace nearside {

/// Keeps up to 16 MiB of freed memory at the end of each arena instead of handing every 128 KiB of
/// it back to the system. The cache's writer frees and takes 4 MiB in blocks of 64 KiB with each
/// batch: handing these back and having them zeroed again took half of its time while a store was
/// filled (docs/decisions/storage-layout.md). Once, before threads are started; for the process.
void KeepFreedMemory();

}  // namespace nearside
