#include "origin/resumable_uploads.h"

#include <filesystem>

#include "tests/origin/uploads_fixture.h"
#include "tests/support/file_size_limit.h"

namespace nearside::origin::test {
namespace {

using ResumableUploadsTest = ApiUploadsTest;

TEST_F(ResumableUploadsTest, AnotherOriginOfTheSameStateGoesOn) {
  const std::string upload = Begun("a", 9);
  ASSERT_EQ(Patch(upload, 0, "abc").status, 204);
  auto node = Node::Open(Settings(""), *Tokens::Load(dir_.In("admin.token"), ""));
  ASSERT_TRUE(node) << node.error().ToString();
  auto other = ApiServer::Open(**node, {*net::SocketAddress::Parse("127.0.0.1:0")});
  ASSERT_TRUE(other);
  (*other)->Start();
  const uint16_t port_of_other = (*other)->addresses().front().port();
  const auto ask = [&](const std::string& line, const std::string& fields,
                       const std::string& content) {
    return Ask(port_of_other, Text(line, Auth() + kTus + fields, content));
  };
  EXPECT_EQ(ask("HEAD " + upload, "", "").Field("upload-offset"), "3");
  EXPECT_EQ(ask("PATCH " + upload, kTusType + Offset(3), "def").status, 204);
  EXPECT_EQ(Head(upload).Field("upload-offset"), "6");
  // What one has in hand the other leaves alone, whatever it is asked.
  RawClient sending(port());
  sending.Send(PatchHead(upload, 6, 3, kTus + kTusType));
  ASSERT_EQ(sending.Read().status, 100);
  EXPECT_EQ(ask("PATCH " + upload, kTusType + Offset(6), "xyz").status, 423);
  EXPECT_EQ(ask("HEAD " + upload, "", "").status, 423);
  EXPECT_EQ(ask("DELETE " + upload, "", "").status, 423);
  ResumableUploads(**node).Sweep(WallNow() + std::chrono::hours(48));
  sending.Send("ghi");
  EXPECT_EQ(sending.Read().status, 204);
  EXPECT_EQ(Content("a"), "abcdefghi");
}

TEST_F(ResumableUploadsTest, ARestartLosesNothingThatWasTold) {
  const std::string upload = Begun("a", 6);
  ASSERT_EQ(Patch(upload, 0, "abc").status, 204);
  // What a killed process wrote behind what it had told is nobody's.
  const std::string file = "blobs/partial/" + IdOf(upload);
  dir_.Write(file, dir_.Read(file) + "tail");
  Restart();
  EXPECT_EQ(Head(upload).Field("upload-offset"), "3");
  EXPECT_EQ(Patch(upload, 3, "def").status, 204);
  EXPECT_EQ(Content("a"), "abcdef");
}

TEST_F(ResumableUploadsTest, AnUploadWhoseBytesAreGoneSaysSoOnce) {
  const std::string upload = Begun("a", 6);
  ASSERT_EQ(Patch(upload, 0, "abc").status, 204);
  std::filesystem::resize_file(dir_.In("blobs/partial/" + IdOf(upload)), 2);
  const Reply head = Admin("PATCH " + upload, "def", kTus + kTusType + Offset(3));
  EXPECT_EQ(head.status, 410);
  EXPECT_EQ(Reason(head), "upload_lost");
  EXPECT_EQ(Head(upload).status, 404);
  EXPECT_TRUE(Partials().empty());
}

TEST_F(ResumableUploadsTest, ADiskThatIsFullIsToldAndNothingThatCountsIsLost) {
  const std::string content(3 << 20, 'x');
  const std::string upload = Begun("a", content.size());
  ASSERT_EQ(Patch(upload, 0, content.substr(0, 1 << 20)).status, 204);
  Reply full;
  {
    nearside::test::FileSizeLimit limit(2 << 20);
    full = Patch(upload, 1 << 20, content.substr(1 << 20));
  }
  EXPECT_EQ(full.status, 507) << full.body;
  EXPECT_EQ(full.Field("upload-offset"), "");
  EXPECT_EQ(Head(upload).Field("upload-offset"), std::to_string(1 << 20));
  EXPECT_EQ(Patch(upload, 1 << 20, content.substr(1 << 20)).status, 204);
  EXPECT_EQ(Content("a"), content);
}

/// An upload whose last bytes are there, whose asset is not, as a killed process leaves it.

class SealedUploadTest : public ApiUploadsTest {
 protected:
  std::string Sealed(bool landed, const std::string& fields = "") {
    const std::string path = Begun("a", 6, fields);
    storage::ResumableUpload upload = node_->metadata->FindResumable("demo", IdOf(path)).value();
    auto partial = node_->blobs->OpenPartial(upload.id, /*make=*/true).value();
    EXPECT_TRUE(partial->Append(AsBytes("abcdef")) && partial->Sync());
    upload.state = storage::ResumableState::kSealed;
    upload.offset = 6;
    upload.asset.blob = storage::ParseBlobName(DigitsOf("abcdef")).value();
    upload.hash.clear();
    EXPECT_TRUE(node_->metadata->KeepResumable(upload));
    EXPECT_TRUE(!landed || partial->Land(upload.asset.blob));
    return path;
  }
};

TEST_F(SealedUploadTest, WhoeverLooksFinishesIt) {
  for (const bool landed : {false, true}) {
    const std::string upload = Sealed(landed);
    const Reply head = Head(upload);
    EXPECT_EQ(head.status, 204) << landed;
    EXPECT_EQ(head.Field("upload-offset"), "6");
    EXPECT_EQ(head.Field("upload-complete"), "?1");
    EXPECT_EQ(head.Field("repr-digest"), DigestFieldOf("abcdef"));
    EXPECT_EQ(Content("a"), "abcdef");
    EXPECT_TRUE(Partials().empty());
    ASSERT_EQ(Admin("DELETE /v1/sites/demo/assets/a").status, 200);
  }
}

TEST_F(SealedUploadTest, AnEmptyGoFinishesItToo) {
  EXPECT_EQ(Patch(Sealed(true), 6, "").status, 204);
  EXPECT_EQ(Content("a"), "abcdef");
  const std::string upload = Sealed(false);
  EXPECT_EQ(Reason(Patch(upload, 6, "g")), "completed_upload");
  EXPECT_EQ(Admin("DELETE " + upload, "", kTus).status, 204);
  EXPECT_TRUE(Partials().empty());
}

TEST_F(SealedUploadTest, ItsConditionsStillHold) {
  const std::string upload = Sealed(false, "if-none-match: *\r\n");
  ASSERT_EQ(Admin("PUT /v1/sites/demo/assets/a", "other").status, 201);
  EXPECT_EQ(Head(upload).status, 412);
  EXPECT_EQ(Head(upload).status, 404);
  EXPECT_EQ(Content("a"), "other");
}

TEST_F(SealedUploadTest, OneWhoseContentIsNowhereIsLost) {
  const std::string upload = Sealed(true);
  ASSERT_TRUE(node_->blobs->Remove(storage::ParseBlobName(DigitsOf("abcdef")).value()));
  EXPECT_EQ(Head(upload).status, 410);
  EXPECT_EQ(Head(upload).status, 404);
}

TEST_F(ResumableUploadsTest, AClockThatIsSetForwardMakesNothingExpireAtOnce) {
  const std::string left = Begun("left", 6);
  ASSERT_EQ(Patch(left, 0, "abc").status, 204);
  const std::string wanted = Begun("wanted", 6);
  ASSERT_EQ(Patch(wanted, 0, "abc").status, 204);
  MonoTime mono = MonoNow();
  WallTime wall = WallNow();
  ResumableUploads uploads(*node_, {.mono = [&] { return mono; }, .wall = [&] { return wall; }});
  const milliseconds expiry = node_->settings.uploads.expiry;
  wall += 100 * expiry;
  uploads.Expire();
  EXPECT_TRUE(uploads.Find("demo", IdOf(left)));
  const auto pass = [&](milliseconds time) {
    mono += time;
    wall += time;
    uploads.Expire();
  };
  pass(expiry / 2);
  {
    auto in_hand = uploads.Take("demo", IdOf(wanted), Others::kLeave);
    ASSERT_TRUE(in_hand) << "who comes back goes on, and is dated anew";
    TextContent body("de");
    ASSERT_TRUE(uploads.Append(in_hand->get(), {.body = body}));
  }
  pass(expiry / 2 - seconds(60));
  EXPECT_TRUE(uploads.Find("demo", IdOf(left)));
  EXPECT_EQ(Partials().size(), 2u);
  // By then everybody has had the time that was promised.
  pass(seconds(60));
  EXPECT_EQ(uploads.Find("demo", IdOf(left)).error().reason, "no_such_upload");
  EXPECT_EQ(uploads.Find("demo", IdOf(wanted)).value().offset, 5u);
  EXPECT_THAT(Partials(), testing::ElementsAre(IdOf(wanted)));
}

TEST_F(ResumableUploadsTest, WhatExpiresIsToldAndItsSpaceComesBack) {
  Restart("[uploads]\nexpiry = \"1m\"\n");
  std::string left = Begun("left", 6);
  ASSERT_EQ(Patch(left, 0, "abc").status, 204);
  const std::string done = Begun("done", 1);
  ASSERT_EQ(Patch(done, 0, "x").status, 204);
  (void)node_->blobs->OpenPartial("0123abcd", /*make=*/true);  // of no upload
  const auto held = node_->blobs->OpenPartial("4567abcd", /*make=*/true);
  ASSERT_TRUE(held);  // somebody is at work on it
  ResumableUploads uploads(*node_);
  uploads.Sweep(WallNow());
  EXPECT_EQ(Head(left).Field("upload-offset"), "3");
  EXPECT_THAT(Partials(), testing::UnorderedElementsAre(IdOf(left), "4567abcd"));
  storage::ResumableUpload upload = node_->metadata->FindResumable("demo", IdOf(left)).value();
  upload.expires = WallNow() + seconds(30);
  ASSERT_TRUE(node_->metadata->KeepResumable(upload));
  const std::string limit = Head(left).Field("upload-limit");
  ASSERT_THAT(limit, testing::HasSubstr("max-age="));
  EXPECT_LE(std::stoi(limit.substr(limit.find("max-age=") + 8)), 30);
  uint64_t expired = 1;
  const auto refusal = [&] {
    upload = node_->metadata->FindResumable("demo", IdOf(left)).value();
    upload.expires = WallNow();
    EXPECT_TRUE(node_->metadata->KeepResumable(upload));
    return Reason(Patch(left, 3, "def"));
  };
  std::string refused = refusal();
  if (refused == "no_such_upload") {  // the server's sweep after its start came between, once
    left = Begun("left", 6);
    ASSERT_EQ(Patch(left, 0, "abc").status, 204);
    ++expired;
    refused = refusal();
  }
  EXPECT_EQ(refused, "upload_expired");
  EXPECT_EQ(Head(left).status, 410);
  uploads.Sweep(WallNow() + std::chrono::minutes(2));
  EXPECT_EQ(Head(left).status, 404);
  EXPECT_EQ(Head(done).status, 404);
  EXPECT_EQ(Content("done"), "x");
  EXPECT_THAT(Partials(), testing::ElementsAre("4567abcd"));
  EXPECT_EQ(node_->counters.expired_uploads.load(), expired);
  EXPECT_EQ(node_->counters.begun_uploads.load(), expired + 1);
}

TEST_F(ResumableUploadsTest, ASiteTakesItsUploadsAlong) {
  const std::string upload = Begun("a", 6);
  ASSERT_EQ(Patch(upload, 0, "abc").status, 204);
  ASSERT_EQ(Admin("DELETE /v1/sites/demo").status, 200);
  EXPECT_EQ(Head(upload).status, 404);
  MakeSite();
  EXPECT_EQ(Head(upload).status, 404);
  ResumableUploads(*node_).Sweep(WallNow());
  EXPECT_TRUE(Partials().empty());
  EXPECT_EQ(node_->metadata->CountResumables().value(), 0u);
}

TEST_F(ResumableUploadsTest, ThoseThatAreAtWorkHideNoOthersFromTheSweep) {
  constexpr int kHeld = 105;  // more than are looked at at once
  // They expire later: the server sweeps by itself too, and would take what is not held yet.
  const WallTime later = WallNow() + seconds(2000);
  std::vector<std::unique_ptr<storage::PartialBlob>> held;
  for (int i = 0; i < kHeld + 5; ++i) {
    storage::ResumableUpload upload;
    upload.id = HexEncode(AsBytes("upload" + std::to_string(1000 + i)));
    upload.site = "demo";
    upload.asset.path = "a" + std::to_string(i);
    upload.hash = ResumableSha256().Save();
    upload.expires = later - seconds(1000 - i);
    ASSERT_TRUE(node_->metadata->CreateResumable(upload, {1000, 1000}));
    auto partial = node_->blobs->OpenPartial(upload.id, /*make=*/true);
    ASSERT_TRUE(partial) << partial.error().ToString();
    if (i < kHeld) held.push_back(std::move(*partial));
  }
  ResumableUploads(*node_).Sweep(later);
  EXPECT_EQ(node_->metadata->CountResumables().value(), static_cast<uint64_t>(kHeld));
  held.clear();
  ResumableUploads(*node_).Sweep(later);
  EXPECT_EQ(node_->metadata->CountResumables().value(), 0u);
}

class CutContent final : public RequestBody {
 public:
  Result<size_t> Read(std::span<uint8_t> /*out*/) override { return 0; }
  std::optional<uint64_t> announced_bytes() const override { return std::nullopt; }
  bool present() const override { return true; }
  void CutOff() override { cut = true; }
  bool cut = false;
};

TEST(UploadsAtWorkTest, WhoLeavesTakesNobodyElseAlong) {
  UploadsAtWork table;
  const uint64_t first = table.Enter("u");
  const uint64_t second = table.Enter("u");
  CutContent content;
  table.Read("u", second, &content);
  table.Leave("u", first);
  EXPECT_TRUE(table.Interrupt("u", milliseconds(0)));
  EXPECT_TRUE(content.cut);
  table.Leave("u", second);
  EXPECT_FALSE(table.Interrupt("u", milliseconds(0)));
}

TEST(UploadsAtWorkTest, WhoIsInterruptedBeforeReadingIsCutOffThen) {
  UploadsAtWork table;
  const uint64_t holder = table.Enter("u");
  const uint64_t other = table.Enter("v");
  EXPECT_TRUE(table.Interrupt("u", milliseconds(0)));
  CutContent content;
  table.Read("u", holder, &content);
  EXPECT_TRUE(content.cut);
  CutContent untouched;
  table.Read("v", other, &untouched);
  EXPECT_FALSE(untouched.cut);
}

}  // namespace
}  // namespace nearside::origin::test
