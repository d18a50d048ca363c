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

size_t ResidentPages(void* block, size_t bytes = SessionMemory::kFrameBytes) {
  unsigned char pages[SessionMemory::kFrameBytes / PagePool::kPageBytes];
  EXPECT_EQ(mincore(block, bytes, pages), 0);
  size_t resident = 0;
  for (size_t i = 0; i < bytes / PagePool::kPageBytes; ++i) resident += pages[i] & 1;
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
  SessionMemory::GiveBackFrame(frame);
  EXPECT_EQ(ResidentPages(frame), 0u);
  memory_.Free(frame);
  memory_.Free(small);
}

TEST_F(SessionMemoryTest, ATableOfStreamsTakesNoMemoryWhileThereAreNone) {
  const auto allocate = [&] { return static_cast<char*>(memory_.AllocateZeroed(256, 16)); };
  const auto resident = [](void* table) {
    return ResidentPages(table, SessionMemory::kTableBytes);
  };
  const std::string empty(SessionMemory::kTableBytes, '\0');
  char* table = allocate();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(memory_.TakeLatestTable(), table);
  EXPECT_EQ(memory_.TakeLatestTable(), nullptr);
  for (const size_t at : {size_t{0}, size_t{2000}, SessionMemory::kTableBytes - 1}) {
    table[at] = 'x';
    SessionMemory::GiveBackEmptyTable(table);
    EXPECT_EQ(table[at], 'x') << at;
    EXPECT_EQ(resident(table), 1u);
    table[at] = 0;
  }
  SessionMemory::GiveBackEmptyTable(table);
  EXPECT_EQ(resident(table), 0u);
  EXPECT_EQ(std::string(table, empty.size()), empty);
  std::memset(table, 'x', empty.size());
  memory_.Free(table);
  ASSERT_EQ(allocate(), table);
  EXPECT_EQ(std::string(table, empty.size()), empty) << "zeroed, if used before";
  auto* larger = static_cast<char*>(memory_.Reallocate(table, 5000));
  EXPECT_EQ(std::string(larger, empty.size()), empty);
  EXPECT_EQ(allocate(), table) << "free again";
  memory_.Free(larger);
}

TEST_F(SessionMemoryTest, FreeFramesAndTablesAreTrimmed) {
  constexpr size_t kCount = 300;
  const auto trim_all = [&] {
    memory_.BeginTrim();
    memory_.BeginTrim();
    while (memory_.Trim()) {
    }
  };
  for (const bool frames : {false, true}) {
    const size_t bytes = frames ? SessionMemory::kFrameBytes : SessionMemory::kTableBytes;
    std::vector<void*> blocks;
    for (size_t i = 0; i < kCount; ++i) blocks.push_back(memory_.AllocateZeroed(1, bytes));
    for (void* block : blocks) memory_.Free(block);
    EXPECT_TRUE(memory_.HasSurplus());
    trim_all();
    EXPECT_FALSE(memory_.HasSurplus());
    size_t resident = 0;
    for (void* block : blocks) resident += ResidentPages(block, bytes);
    EXPECT_EQ(resident, PagePool::kKeptWarm * bytes / PagePool::kPageBytes);
  }
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
      const bool table = dice() % 8 == 0;
      const size_t size = table ? SessionMemory::kTableBytes : size_t{dice()} % limits[dice() % 5];
      const auto value = static_cast<unsigned char>(dice());
      auto* bytes = static_cast<unsigned char*>(table ? memory_.AllocateZeroed(1, size)
                                                      : memory_.Allocate(size));
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
