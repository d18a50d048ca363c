#include "origin/password_hasher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace nearside::origin {
namespace {

constexpr HashSettings kQuick{
    .memory_bytes = 8 << 10, .passes = 1, .at_once = 2, .most_waiting = 8};
constexpr const char* kPassword = "correct horse battery staple";

TEST(PasswordHasherTest, AHashIsOfItsPasswordAlone) {
  PasswordHasher hasher(kQuick);
  const std::string hash = hasher.Hash(kPassword).value();
  EXPECT_THAT(hash, testing::StartsWith("$argon2id$v=19$m=8,t=1,p=1$"));
  EXPECT_TRUE(hasher.IsRight(hash, kPassword).value());
  for (const char* other : {"", "correct horse battery stapl", "Correct horse battery staple"}) {
    EXPECT_FALSE(hasher.IsRight(hash, other).value()) << other;
  }
  // Each has a salt of its own.
  EXPECT_NE(hasher.Hash(kPassword).value(), hash);
  EXPECT_EQ(hasher.hashes(), 6u);
}

TEST(PasswordHasherTest, WhatIsNoHashIsOfNoPassword) {
  PasswordHasher hasher(kQuick);
  for (const char* hash : {"", "x", "$argon2id$v=19$m=8,t=1,p=1$", "plain"}) {
    EXPECT_FALSE(hasher.IsRight(hash, kPassword).value()) << hash;
  }
}

TEST(PasswordHasherTest, NobodysHashIsAsAnyOther) {
  // Were it malformed, or of other settings, checking it would take another time.
  PasswordHasher hasher({.memory_bytes = 64 << 20, .passes = 3});
  EXPECT_FALSE(hasher.IsOld(""));
}

TEST(PasswordHasherTest, AHashOfOtherSettingsIsOld) {
  PasswordHasher before(kQuick);
  PasswordHasher after({.memory_bytes = 16 << 10, .passes = 1});
  const std::string hash = before.Hash(kPassword).value();
  EXPECT_FALSE(before.IsOld(hash));
  EXPECT_TRUE(after.IsOld(hash));
  EXPECT_TRUE(after.IsRight(hash, kPassword).value());
  EXPECT_TRUE(after.IsOld("nonsense"));
}

TEST(PasswordHasherTest, SoManyAtOnceSoManyWaitAndOthersAreRefused) {
  // Slow enough that all of these meet.
  PasswordHasher hasher({.memory_bytes = 32 << 20, .passes = 40, .at_once = 1, .most_waiting = 2});
  std::atomic<int> done{0};
  std::vector<std::jthread> threads;
  const auto start = [&] {
    threads.emplace_back([&] {
      if (hasher.Hash(kPassword)) ++done;
    });
  };
  start();
  while (hasher.busy() == 0) std::this_thread::yield();
  start();
  start();
  while (hasher.waiting() < 2) {
    ASSERT_EQ(done.load(), 0) << "the machine is too quick for this test";
    std::this_thread::yield();
  }
  const Result<std::string> refused = hasher.Hash(kPassword);
  EXPECT_EQ(hasher.busy(), 1u);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "hashing_busy");
  EXPECT_EQ(refused.error().fault, Fault::kSelf);
  EXPECT_EQ(hasher.refused(), 1u);
  for (std::jthread& thread : threads) thread.join();
  EXPECT_EQ(done.load(), 3);
  EXPECT_EQ(hasher.hashes(), 3u);
  EXPECT_EQ(hasher.waiting(), 0u);
  EXPECT_TRUE(hasher.Hash(kPassword));
}

}  // namespace
}  // namespace nearside::origin
