#include "runtime/resumable_sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "runtime/text_bytes.h"

namespace nearside {
namespace {

std::string Letters(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST(ResumableSha256Test, GoesOnFromEveryByteOfThreeBlocks) {
  const std::string text = Letters(200);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    ResumableSha256 first;
    first.Update(AsBytes(std::string_view(text).substr(0, cut)));
    const std::string saved = first.Save();
    EXPECT_LE(saved.size(), 190u);
    auto second = ResumableSha256::Restore(saved, cut);
    ASSERT_TRUE(second) << cut;
    EXPECT_EQ(second->Save(), saved);
    second->Update(AsBytes(std::string_view(text).substr(cut)));
    EXPECT_EQ(second->Finish(), Sha256Of(text)) << cut;
  }
}

TEST(ResumableSha256Test, WritingItDownChangesNothing) {
  ResumableSha256 hash;
  hash.Update(AsBytes("ab"));
  (void)hash.Save();
  hash.Update(AsBytes("c"));
  EXPECT_EQ(hash.Finish(), Sha256Of("abc"));
  EXPECT_EQ(hash.Finish(), Sha256Of(""));
}

TEST(ResumableSha256Test, CountsBeyondFourGibibitsAreKept) {
  // 2^29 + 64 bytes are more bits than one word holds.
  const std::string piece = Letters(1 << 20);
  ResumableSha256 hash;
  Sha256 whole;
  for (int i = 0; i < 512; ++i) {
    hash.Update(AsBytes(piece));
    whole.Update(piece);
  }
  hash.Update(AsBytes(std::string_view(piece).substr(0, 64)));
  whole.Update(std::string_view(piece).substr(0, 64));
  auto resumed = ResumableSha256::Restore(hash.Save(), (uint64_t{512} << 20) + 64);
  ASSERT_TRUE(resumed);
  resumed->Update(AsBytes("end"));
  whole.Update("end");
  EXPECT_EQ(resumed->Finish(), whole.Finish());
}

TEST(ResumableSha256Test, WhatIsNoStateIsRefused) {
  ResumableSha256 hash;
  hash.Update(AsBytes("abc"));
  const std::string saved = hash.Save();
  EXPECT_TRUE(ResumableSha256::Restore(saved, 3));
  EXPECT_TRUE(ResumableSha256::Restore(saved, 67));  // nobody can tell
  for (const auto& [text, bytes] : {std::pair<std::string, uint64_t>{saved, 2},
                                    {saved, 4},
                                    {saved, 64},
                                    {"", 0},
                                    {"xy", 0},
                                    {saved.substr(1), 3},
                                    {saved + "00", 3}}) {
    EXPECT_EQ(ResumableSha256::Restore(text, bytes).error().reason, "bad_hash_state") << bytes;
  }
}

}  // namespace
}  // namespace nearside
