#pragma once

#include <cstddef>
#include <new>

namespace nearside {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kRecycles = false;  // it is to see each object's end
#else
inline constexpr bool kRecycles = true;
#endif

/// Base of a class of which many come and go with each turn of a loop: more than the C library
/// keeps at hand for one size. The memory of those that are gone serves the next of the same
/// thread; at most kMostKept of them are kept for it. Any thread; nothing is derived from `T`.
template <typename T>
class Recycled {
 public:
  static constexpr size_t kMostKept = 1024;

  static void* operator new(size_t bytes) {
    Kept& kept = kept_;
    if (kept.first == nullptr) return ::operator new(bytes);
    Block* block = kept.first;
    kept.first = block->next;
    --kept.blocks;
    return block;
  }
  static void operator delete(void* memory) noexcept {
    Kept& kept = kept_;
    if (!kRecycles || kept.blocks >= kMostKept) return ::operator delete(memory);
    if (!kept.will_end) EndWithThread(&kept);
    kept.first = new (memory) Block{kept.first};
    ++kept.blocks;
  }

 private:
  struct Block {
    Block* next;
  };
  struct Kept {
    Block* first = nullptr;
    size_t blocks = 0;
    bool will_end = false;
  };
  struct End {
    explicit End(Kept* of_thread) : kept(of_thread) { kept->will_end = true; }
    ~End() {
      kept->blocks = kMostKept;  // what is destroyed after it is not kept
      while (kept->first != nullptr) {
        Block* next = kept->first->next;
        ::operator delete(kept->first);
        kept->first = next;
      }
    }
    Kept* kept;
  };
  static void EndWithThread(Kept* kept) { static thread_local const End end(kept); }

  // Trivial, so that an access needs no look whether it has been initialised.
  inline static constinit thread_local Kept kept_;
};

}  // namespace nearside
