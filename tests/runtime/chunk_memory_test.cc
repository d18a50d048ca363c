#include "runtime/chunk_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace nearside {
namespace {

constexpr size_t kUnit = ChunkMemory::kUnitBytes;
/// The first unit of a region is its head.
constexpr size_t kRegionRoom = ChunkMemory::kRegionBytes - kUnit;

struct Block {
  uint8_t* memory;
  size_t bytes;
  uint8_t mark;

  static Block Take(ChunkMemory& memory, size_t bytes, uint8_t mark) {
    const Block block{static_cast<uint8_t*>(memory.Take(bytes)), bytes, mark};
    std::memset(block.memory, mark, bytes);
    return block;
  }
  /// That nobody else has written to it.
  bool IsSound() const {
    return memory[0] == mark && std::memcmp(memory, memory + 1, bytes - 1) == 0;
  }
};

void GiveBackAll(ChunkMemory& memory, std::vector<Block>& blocks) {
  for (const Block& block : blocks) memory.GiveBack(block.memory, block.bytes);
  blocks.clear();
}

std::set<uintptr_t> RegionsOf(const std::vector<Block>& blocks) {
  std::set<uintptr_t> regions;
  for (const Block& block : blocks) {
    regions.insert(reinterpret_cast<uintptr_t>(block.memory) & ~(ChunkMemory::kRegionBytes - 1));
  }
  return regions;
}

/// Of these regions, what is in RAM.
size_t ResidentBytes(const std::set<uintptr_t>& regions) {
  constexpr size_t kPageBytes = 4096;
  size_t pages = 0;
  for (const uintptr_t region : regions) {
    std::array<unsigned char, ChunkMemory::kRegionBytes / kPageBytes> in_ram{};
    EXPECT_EQ(mincore(reinterpret_cast<void*>(region), ChunkMemory::kRegionBytes, in_ram.data()),
              0);
    pages += static_cast<size_t>(
        std::ranges::count_if(in_ram, [](unsigned char page) { return (page & 1) != 0; }));
  }
  return pages * kPageBytes;
}

TEST(ChunkMemoryTest, ABlockTakesWholeUnitsAndNoMore) {
  ChunkMemory memory;
  auto* first = static_cast<uint8_t*>(memory.Take(16'400));
  auto* second = static_cast<uint8_t*>(memory.Take(kUnit));
  auto* third = static_cast<uint8_t*>(memory.Take(1));
  EXPECT_EQ(second - first, static_cast<ptrdiff_t>(17 * kUnit));
  EXPECT_EQ(third - second, static_cast<ptrdiff_t>(kUnit));
  EXPECT_EQ(memory.usage().taken_bytes, 19 * kUnit);
  EXPECT_EQ(memory.usage().region_bytes, ChunkMemory::kRegionBytes);
  EXPECT_EQ(ChunkMemory::CostOf(16'400), 17 * kUnit);
  memory.GiveBack(first, 16'400);
  memory.GiveBack(second, kUnit);
  memory.GiveBack(third, 1);
  EXPECT_EQ(memory.usage().taken_bytes, 0u);
}

TEST(ChunkMemoryTest, ARegionIsFilledToItsLastUnit) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  size_t left = kRegionRoom;
  for (; left >= ChunkMemory::kMostBytes; left -= ChunkMemory::kMostBytes) {
    blocks.push_back(Block::Take(memory, ChunkMemory::kMostBytes, 1));
  }
  blocks.push_back(Block::Take(memory, left, 2));
  EXPECT_EQ(memory.usage().region_bytes, ChunkMemory::kRegionBytes);
  blocks.push_back(Block::Take(memory, 1, 3));
  EXPECT_EQ(memory.usage().region_bytes, 2 * ChunkMemory::kRegionBytes);
  for (const Block& block : blocks) EXPECT_TRUE(block.IsSound());
  GiveBackAll(memory, blocks);
}

TEST(ChunkMemoryTest, TheRunThatFitsBestIsTaken) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  // Gaps of 8, 5 and 6 units between blocks of one.
  for (const size_t units : {8, 1, 5, 1, 6, 1}) {
    blocks.push_back(Block::Take(memory, units * kUnit, 1));
  }
  for (const size_t gap : {0, 2, 4}) memory.GiveBack(blocks[gap].memory, blocks[gap].bytes);
  void* five = memory.Take(5 * kUnit);
  void* six = memory.Take(6 * kUnit);
  void* seven = memory.Take(7 * kUnit);
  EXPECT_EQ(five, blocks[2].memory);
  EXPECT_EQ(six, blocks[4].memory);
  EXPECT_EQ(seven, blocks[0].memory);
  for (const size_t kept : {1, 3, 5}) memory.GiveBack(blocks[kept].memory, blocks[kept].bytes);
  memory.GiveBack(five, 5 * kUnit);
  memory.GiveBack(six, 6 * kUnit);
  memory.GiveBack(seven, 7 * kUnit);
}

TEST(ChunkMemoryTest, NeighboursThatAreFreeAreOneRun) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  while (blocks.size() < kRegionRoom / kUnit) blocks.push_back(Block::Take(memory, kUnit, 1));
  // From both sides, and last the one between them.
  for (const size_t i : {100, 102, 103, 101}) memory.GiveBack(blocks[i].memory, kUnit);
  void* four = memory.Take(4 * kUnit);
  EXPECT_EQ(four, blocks[100].memory);
  EXPECT_EQ(memory.usage().region_bytes, ChunkMemory::kRegionBytes);
  memory.GiveBack(four, 4 * kUnit);
  blocks.erase(blocks.begin() + 100, blocks.begin() + 104);
  GiveBackAll(memory, blocks);
}

TEST(ChunkMemoryTest, NoTwoBlocksOverlapWhateverComesAndGoes) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  std::minstd_rand draw(7);
  size_t taken = 0;
  for (int step = 0; step < 30'000; ++step) {
    // Grows to some 16 MiB, goes on at that, and shrinks.
    const size_t most = step < 20'000 ? size_t{16} << 20 : size_t{1} << 20;
    if (taken < most && draw() % 8 != 0) {
      blocks.push_back(
          Block::Take(memory, 1 + draw() % ChunkMemory::kMostBytes, static_cast<uint8_t>(draw())));
      taken += ChunkMemory::CostOf(blocks.back().bytes);
    } else if (!blocks.empty()) {
      std::swap(blocks[draw() % blocks.size()], blocks.back());
      ASSERT_TRUE(blocks.back().IsSound()) << "step " << step;
      memory.GiveBack(blocks.back().memory, blocks.back().bytes);
      taken -= ChunkMemory::CostOf(blocks.back().bytes);
      blocks.pop_back();
    }
    ASSERT_EQ(memory.usage().taken_bytes, taken);
  }
  for (const Block& block : blocks) EXPECT_TRUE(block.IsSound());
  GiveBackAll(memory, blocks);
  EXPECT_EQ(memory.usage().taken_bytes, 0u);
  EXPECT_EQ(memory.usage().region_bytes, ChunkMemory::kMostKeptFree * ChunkMemory::kRegionBytes);
}

/// As a cache does that is full: an object goes, another comes, in no order, of sizes as the web's.
TEST(ChunkMemoryTest, AFullCacheWastesLittle) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  std::minstd_rand draw(11);
  std::lognormal_distribution<double> size(std::log(16'384.0), 1.2);
  constexpr size_t kLimit = size_t{64} << 20;
  size_t taken = 0;
  size_t worst = 0;
  for (int step = 0; step < 100'000; ++step) {
    const size_t bytes = std::clamp<size_t>(static_cast<size_t>(size(draw)), 4097, 65'536);
    while (taken + ChunkMemory::CostOf(bytes) > kLimit) {
      std::swap(blocks[draw() % blocks.size()], blocks.back());
      memory.GiveBack(blocks.back().memory, blocks.back().bytes);
      taken -= ChunkMemory::CostOf(blocks.back().bytes);
      blocks.pop_back();
    }
    blocks.push_back({static_cast<uint8_t*>(memory.Take(bytes)), bytes, 0});
    taken += ChunkMemory::CostOf(bytes);
    if (step > 50'000) worst = std::max(worst, memory.usage().region_bytes);
  }
  EXPECT_LT(worst, kLimit / 100 * 112);
  GiveBackAll(memory, blocks);
}

TEST(ChunkMemoryTest, PagesOfFreeRegionsGoBackToTheSystem) {
  ChunkMemory memory;
  std::vector<Block> blocks;
  constexpr size_t kBytes = size_t{64} << 20;
  for (size_t taken = 0; taken < kBytes; taken += ChunkMemory::kMostBytes) {
    blocks.push_back(Block::Take(memory, ChunkMemory::kMostBytes, 9));
  }
  const std::set<uintptr_t> regions = RegionsOf(blocks);
  EXPECT_GE(ResidentBytes(regions), kBytes);
  GiveBackAll(memory, blocks);
  constexpr size_t kKept = ChunkMemory::kMostKeptFree * ChunkMemory::kRegionBytes;
  EXPECT_EQ(memory.usage().region_bytes, kKept);
  EXPECT_EQ(ResidentBytes(regions), kKept);
  // Their addresses serve again, before new ones are asked for.
  Block again = Block::Take(memory, ChunkMemory::kMostBytes, 8);
  for (size_t taken = 0; taken < kBytes; taken += ChunkMemory::kMostBytes) {
    blocks.push_back(Block::Take(memory, ChunkMemory::kMostBytes, 7));
  }
  EXPECT_EQ(RegionsOf(blocks), regions);
  for (const Block& block : blocks) EXPECT_TRUE(block.IsSound());
  EXPECT_TRUE(again.IsSound());
  memory.GiveBack(again.memory, again.bytes);
  GiveBackAll(memory, blocks);
}

TEST(ChunkMemoryTest, ThreadsTakeAndGiveBackWhatOthersTook) {
  ChunkMemory memory;
  constexpr int kThreads = 4;
  constexpr size_t kBlocks = 64;
  std::vector<std::vector<Block>> shelves(kThreads);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        std::vector<Block>& shelf = shelves[static_cast<size_t>((i + round) % kThreads)];
        for (const Block& block : shelf) EXPECT_TRUE(block.IsSound());
        GiveBackAll(memory, shelf);
        std::minstd_rand draw(static_cast<unsigned>(round * kThreads + i + 1));
        while (shelf.size() < kBlocks) {
          shelf.push_back(Block::Take(memory, 1 + draw() % ChunkMemory::kMostBytes,
                                      static_cast<uint8_t>(draw())));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (std::vector<Block>& shelf : shelves) GiveBackAll(memory, shelf);
  EXPECT_EQ(memory.usage().taken_bytes, 0u);
}

TEST(ChunkMemoryDeathTest, WhatIsGivenBackTwiceIsSeen) {
  ChunkMemory memory;
  void* block = memory.Take(5000);
  void* kept = memory.Take(5000);
  memory.GiveBack(block, 5000);
  EXPECT_DEATH(memory.GiveBack(block, 5000), "twice");
  memory.GiveBack(kept, 5000);
}

}  // namespace
}  // namespace nearside
