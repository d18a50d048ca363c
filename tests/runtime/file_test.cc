#include "runtime/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/temp_dir.h"

namespace nearside {
namespace {

size_t FilesIn(const std::string& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

class FileTest : public testing::Test {
 protected:
  test::TempDir folder_;
};

TEST_F(FileTest, ReadsAllBytesUpToTheLimit) {
  std::string bytes(100'000, 'x');
  bytes[50'000] = '\0';
  const std::string path = folder_.Write("big", bytes);
  EXPECT_EQ(ReadFile(path, ByteSize{100'000}).value(), bytes);
  EXPECT_EQ(ReadFile(folder_.Write("empty", ""), ByteSize{0}).value(), "");
  const Result<std::string> refused = ReadFile(path, ByteSize{99'999});
  EXPECT_EQ(refused.error().ToString(), path + ": larger than 99999B (too_large)");
}

TEST_F(FileTest, AnUnreadableFileIsNamed) {
  const std::string missing = folder_.In("missing");
  EXPECT_EQ(ReadFile(missing, 1_KiB).error().ToString(),
            missing + ": cannot open: No such file or directory (ENOENT)");
  EXPECT_EQ(ReadFile(folder_.path(), 1_KiB).error().ToString(),
            folder_.path() + ": cannot read: Is a directory (EISDIR)");
}

TEST_F(FileTest, APipeIsReadToItsEnd) {
  const std::string path = folder_.In("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { ASSERT_TRUE(std::filesystem::exists(folder_.Write("pipe", "piped"))); });
  EXPECT_EQ(ReadFile(path, 1_KiB).value(), "piped");
  writer.join();
}

TEST_F(FileTest, AWriteReplacesTheWholeFileWithTheModeAsked) {
  const std::string path = folder_.Write("token", "a longer text than the new one");
  ASSERT_TRUE(WriteFileAtomically(path, "secret", 0640));
  EXPECT_EQ(folder_.Read("token"), "secret");
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  EXPECT_EQ(FilesIn(folder_.path()), 1u);
}

TEST_F(FileTest, AFileWithoutAFolderGoesIntoTheCurrentOne) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const Status written = WriteFileAtomically("here", "x", 0600);
  std::filesystem::current_path(before);
  ASSERT_TRUE(written) << written.error().ToString();
  EXPECT_EQ(folder_.Read("here"), "x");
}

TEST_F(FileTest, AFailedWriteLeavesTheOldStateAndNoTemporaryFile) {
  const std::string nowhere = folder_.In("no/such/file");
  EXPECT_EQ(
      WriteFileAtomically(nowhere, "x", 0600).error().ToString(),
      nowhere + ": cannot make a temporary file beside it: No such file or directory (ENOENT)");
  folder_.Write("busy/inside", "x");
  const std::string busy = folder_.In("busy");
  EXPECT_EQ(WriteFileAtomically(busy, "x", 0600).error().ToString(),
            busy + ": cannot replace: Is a directory (EISDIR)");
  EXPECT_EQ(FilesIn(folder_.path()), 1u);
}

TEST_F(FileTest, FoldersAreMadeOnceAndStay) {
  const std::string deep = folder_.In("a/b/c");
  ASSERT_TRUE(MakeFolders(deep));
  EXPECT_TRUE(std::filesystem::is_directory(deep));
  EXPECT_TRUE(MakeFolders(deep));
  EXPECT_TRUE(MakeFolders(deep + "/"));
}

TEST_F(FileTest, AFolderIsCheckedWithoutBeingMade) {
  const std::string deep = folder_.In("a/b/c");
  EXPECT_TRUE(CheckFolder(deep));
  EXPECT_TRUE(CheckFolder(folder_.In("")));
  EXPECT_FALSE(std::filesystem::exists(folder_.In("a")));
  const std::string file = folder_.Write("file", "x");
  for (const std::string& path : {file, file + "/below/it"}) {
    const Status checked = CheckFolder(path);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().ToString(),
              path + ": " + file +
                  " is no folder; expected a folder that can be made and written "
                  "(folder_unwritable)");
  }
}

TEST_F(FileTest, AStampTellsThatAFileWasWrittenAnew) {
  EXPECT_EQ(StampOf(folder_.In("none")), FileStamp());
  const std::string path = folder_.Write("file", "x");
  const FileStamp before = StampOf(path);
  EXPECT_NE(before, FileStamp());
  EXPECT_EQ(StampOf(path), before);
  ASSERT_TRUE(WriteFileAtomically(path, "x", 0600));
  EXPECT_NE(StampOf(path), before);
}

TEST_F(FileTest, AStampTellsThatAFileWasMadeReadable) {
  const std::string path = folder_.Write("key.pem", "x");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  const FileStamp before = StampOf(path);
  // The system's clock of files moves in steps of a few milliseconds.
  for (int i = 0; i < 1000 && StampOf(path) == before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  }
  EXPECT_NE(StampOf(path), before);
}

TEST_F(FileTest, AFileInAFoldersPlaceIsNamed) {
  const std::string path = folder_.Write("file", "x");
  EXPECT_EQ(MakeFolders(path).error().ToString(),
            path + ": cannot make the folder: Not a directory (ENOTDIR)");
  EXPECT_EQ(MakeFolders(path + "/below").error().ToString(),
            path + "/below: cannot make the folder: Not a directory (ENOTDIR)");
}

}  // namespace
}  // namespace nearside
