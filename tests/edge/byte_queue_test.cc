#include "edge/byte_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/edge/patterns.h"

namespace nearside::edge {
namespace {

TEST(ByteQueueTest, EmptyItHasNothing) {
  const ByteQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.Front().empty());
}

TEST(ByteQueueTest, SmallPiecesShareAChunk) {
  ByteQueue queue;
  queue.Push(AsBytes("abc"));
  queue.Push(AsBytes("def"));
  EXPECT_EQ(TextOf(queue.Front()), "abcdef");
  queue.Pop(4);
  EXPECT_EQ(TextOf(queue.Front()), "ef");
  EXPECT_EQ(queue.size(), 2u);
  queue.Push(AsBytes("g"));
  EXPECT_EQ(TextOf(queue.Front()), "efg");
  queue.Clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.Front().empty());
}

TEST(ByteQueueTest, WhatGoesInComesOutHoweverItIsCut) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string all = Pattern(5 * kChunkBytes + 7);
  ByteQueue queue;
  std::string out;
  for (size_t in = 0; out.size() < all.size();) {
    if (in < all.size() && random() % 2 == 0) {
      const size_t size = std::min<size_t>(all.size() - in, 1 + random() % (2 * kChunkBytes));
      queue.Push(AsBytes(std::string_view(all).substr(in, size)));
      in += size;
    } else if (!queue.empty()) {
      const std::string_view front = TextOf(queue.Front());
      const size_t size = std::min<size_t>(front.size(), 1 + random() % kChunkBytes);
      out += front.substr(0, size);
      queue.Pop(size);
    }
    ASSERT_EQ(queue.size(), in - out.size());
  }
  EXPECT_TRUE(out == all);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace nearside::edge
