#include "http/session/session_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace nearside::http {
namespace {

constexpr size_t kFrame = 16'394;  // what nghttp2 takes

class SessionMemoryTest : public testing::Test {
 protected:
  SessionMemory memory_;
};

TEST_F(SessionMemoryTest, WhatWasFreedIsUsedAgain) {
  for (const size_t bytes : {0u, 1u, 24u, 25u, 100u, 512u, 1000u, 1024u}) {
    void* first = memory_.Allocate(bytes);
    ASSERT_NE(first, nullptr);
    std::memset(first, 'x', bytes);
    memory_.Free(first);
    EXPECT_GE(memory_.kept_bytes(), bytes);
    EXPECT_EQ(memory_.Allocate(bytes), first) << bytes;
    EXPECT_EQ(memory_.kept_bytes(), 0u) << bytes;
    EXPECT_GE(malloc_usable_size(first), bytes);
    std::free(first);  // it is the C library's
  }
}

/// Whatever sizes of blocks the allocator has: jemalloc's are up to a fifth apart.
TEST_F(SessionMemoryTest, ASizeThatIsWantedOftenIsAllocatedOnce) {
  for (size_t bytes = 1; bytes <= SessionMemory::kMostSmall; ++bytes) {
    SessionMemory fresh;
    void* first = fresh.Allocate(bytes);
    fresh.Free(first);
    ASSERT_EQ(fresh.Allocate(bytes), first) << bytes;
    fresh.Free(first);
  }
}

TEST_F(SessionMemoryTest, LargeOnesAreNotKept) {
  void* block = memory_.Allocate(5000);
  ASSERT_NE(block, nullptr);
  memory_.Free(block);
  EXPECT_EQ(memory_.kept_bytes(), 0u);
  memory_.Free(nullptr);
}

TEST_F(SessionMemoryTest, NoMoreIsKeptThanTheLimit) {
  std::vector<void*> blocks;
  for (int i = 0; i < 3000; ++i) blocks.push_back(memory_.Allocate(1000));
  for (void* block : blocks) memory_.Free(block);
  EXPECT_LE(memory_.kept_bytes(), SessionMemory::kMostKept);
  EXPECT_GE(memory_.kept_bytes(), SessionMemory::kMostKept - 1100);
}

TEST_F(SessionMemoryTest, ZeroedEvenIfUsedBefore) {
  void* dirty = memory_.Allocate(96);
  std::memset(dirty, 'x', 96);
  memory_.Free(dirty);
  const auto* zeroed = static_cast<const char*>(memory_.AllocateZeroed(12, 8));
  EXPECT_EQ(zeroed, dirty);
  EXPECT_EQ(std::string(zeroed, 96), std::string(96, '\0'));
  memory_.Free(const_cast<char*>(zeroed));
  EXPECT_EQ(memory_.AllocateZeroed(std::numeric_limits<size_t>::max() / 4, 8), nullptr);
}

TEST_F(SessionMemoryTest, GrowingKeepsWhatIsThere) {
  auto* text = static_cast<char*>(memory_.Reallocate(nullptr, 10));
  std::memcpy(text, "0123456789", 10);
  for (const size_t bytes : {5u, 24u, 200u, 1024u, 1025u, 16'384u, 20'480u, 20'481u, 100'000u}) {
    text = static_cast<char*>(memory_.Reallocate(text, bytes));
    ASSERT_NE(text, nullptr);
    EXPECT_EQ(std::string(text, 10), "0123456789") << bytes;
    std::memset(text + 10, 'x', bytes < 10 ? 0 : bytes - 10);
  }
  memory_.Free(text);
}

size_t ResidentPages(void* block) {
  unsigned char pages[SessionMemory::kFrameBytes / 4096];
  EXPECT_EQ(mincore(block, SessionMemory::kFrameBytes, pages), 0);
  size_t resident = 0;
  for (const unsigned char page : pages) resident += page & 1;
  return resident;
}

TEST_F(SessionMemoryTest, AFrameBufferTakesThePagesThatAreTouched) {
  auto* frame = static_cast<char*>(memory_.Allocate(kFrame));
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(ResidentPages(frame), 0u);
  std::memset(frame, 'x', 300);
  EXPECT_EQ(ResidentPages(frame), 1u);
  std::memset(frame, 'x', kFrame);
  EXPECT_EQ(ResidentPages(frame), 5u);
  memory_.Free(frame);
  EXPECT_EQ(memory_.Allocate(kFrame), frame);
  memory_.Free(frame);
}

TEST_F(SessionMemoryTest, TheLatestFrameBufferIsToldOnce) {
  EXPECT_EQ(memory_.TakeLatestFrame(), nullptr);
  void* small = memory_.Allocate(100);
  EXPECT_EQ(memory_.TakeLatestFrame(), nullptr);
  void* frame = memory_.Allocate(kFrame);
  EXPECT_EQ(memory_.TakeLatestFrame(), frame);
  EXPECT_EQ(memory_.TakeLatestFrame(), nullptr);
  std::memset(frame, 'x', kFrame);
  SessionMemory::GiveBackPages(frame);
  EXPECT_EQ(ResidentPages(frame), 0u);
  memory_.Free(frame);
  memory_.Free(small);
}

size_t ResidentPages(const std::vector<void*>& frames) {
  size_t resident = 0;
  for (void* frame : frames) resident += ResidentPages(frame);
  return resident;
}

class FreeFramesTest : public SessionMemoryTest {
 protected:
  static constexpr size_t kFrames = 300;
  static constexpr size_t kPages = 5;

  std::vector<void*> TakeAndTouch(size_t count) {
    std::vector<void*> frames;
    for (size_t i = 0; i < count; ++i) {
      frames.push_back(memory_.Allocate(kFrame));
      std::memset(frames.back(), 'x', kFrame);
    }
    return frames;
  }
  void FreeAll(const std::vector<void*>& frames) {
    for (void* frame : frames) memory_.Free(frame);
  }
  void TrimAll() {
    memory_.BeginTrim();
    while (memory_.Trim()) {
    }
  }
};

TEST_F(FreeFramesTest, KeepTheirPagesForThoseWhoComeSoon) {
  for (int burst = 0; burst < 3; ++burst) {
    const std::vector<void*> frames = TakeAndTouch(kFrames);
    EXPECT_EQ(std::set<void*>(frames.begin(), frames.end()).size(), kFrames);
    FreeAll(frames);
    TrimAll();
    EXPECT_EQ(ResidentPages(frames), kPages * kFrames) << "since the last time all were wanted";
    EXPECT_TRUE(memory_.HasSurplus());
  }
}

TEST_F(FreeFramesTest, GiveThemBackWhenNobodyWantsThem) {
  const std::vector<void*> frames = TakeAndTouch(kFrames);
  FreeAll(frames);
  TrimAll();
  const std::vector<void*> wanted = TakeAndTouch(100);  // meanwhile
  FreeAll(wanted);
  TrimAll();
  EXPECT_EQ(ResidentPages(frames), kPages * (100 + SessionMemory::kKeptWarm));
  EXPECT_EQ(ResidentPages(wanted), kPages * 100) << "the others have been free for longer";
  TrimAll();
  EXPECT_EQ(ResidentPages(frames), kPages * SessionMemory::kKeptWarm);
  EXPECT_FALSE(memory_.HasSurplus());
  TrimAll();
  EXPECT_EQ(ResidentPages(frames), kPages * SessionMemory::kKeptWarm);
}

TEST_F(FreeFramesTest, AreTrimmedSomeAtATime) {
  const std::vector<void*> frames = TakeAndTouch(kFrames);
  FreeAll(frames);
  memory_.BeginTrim();
  memory_.BeginTrim();
  EXPECT_TRUE(memory_.Trim());
  EXPECT_EQ(ResidentPages(frames), kPages * (kFrames - SessionMemory::kMostTrimmed));
  const std::vector<void*> wanted = TakeAndTouch(kFrames - SessionMemory::kMostTrimmed - 10);
  FreeAll(wanted);
  EXPECT_FALSE(memory_.Trim()) << "but for ten all have been wanted meanwhile";
  EXPECT_EQ(ResidentPages(wanted), kPages * wanted.size());
  EXPECT_EQ(ResidentPages(frames), kPages * wanted.size());
}

TEST_F(SessionMemoryTest, NoTwoBlocksShareAByte) {
  struct Block {
    unsigned char* bytes;
    size_t size;
    unsigned char value;
  };
  std::mt19937 dice(7);
  const size_t limits[] = {40, 300, 1100, 17'000, 21'000};
  std::vector<Block> blocks;
  for (int i = 0; i < 20'000; ++i) {
    if (blocks.size() < 200 && dice() % 2 == 0) {
      const size_t size = dice() % limits[dice() % 5];
      const auto value = static_cast<unsigned char>(dice());
      auto* bytes = static_cast<unsigned char*>(memory_.Allocate(size));
      std::memset(bytes, value, size);
      blocks.push_back({bytes, size, value});
    } else if (!blocks.empty()) {
      std::swap(blocks[dice() % blocks.size()], blocks.back());
      const Block block = blocks.back();
      blocks.pop_back();
      const auto* end = block.bytes + block.size;
      ASSERT_TRUE(std::all_of(block.bytes, const_cast<unsigned char*>(end),
                              [&](unsigned char byte) { return byte == block.value; }));
      memory_.Free(block.bytes);
    }
  }
  for (const Block& block : blocks) memory_.Free(block.bytes);
}

}  // namespace
}  // namespace nearside::http
