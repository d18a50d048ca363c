#include "cli/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace nearside::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

class FolderTest : public testing::Test {
 protected:
  std::vector<std::string> Paths() {
    Result<Folder> folder = WalkFolder(dir_.In("site"));
    EXPECT_TRUE(folder) << folder.error().ToString();
    std::vector<std::string> paths;
    if (folder) {
      for (const FolderFile& file : folder->files) paths.push_back(file.path);
    }
    return paths;
  }
  std::string Refusal() {
    Result<Folder> folder = WalkFolder(dir_.In("site"));
    return folder ? "accepted" : folder.error().message;
  }
  nearside::test::TempDir dir_;
};

TEST_F(FolderTest, FindsEveryFileInOrderAndLeavesHiddenOnesOut) {
  for (const char* name :
       {"site/index.html", "site/b/c.css", "site/b/a.css", "site/.git/HEAD", "site/b/.DS_Store",
        "site/.well-known/security.txt", "site/a b\xC3\xA4.txt"}) {
    dir_.Write(name, "x");
  }
  EXPECT_THAT(Paths(), ElementsAre(".well-known/security.txt", "a b\xC3\xA4.txt", "b/a.css",
                                   "b/c.css", "index.html"));
  EXPECT_THAT(WalkFolder(dir_.In("site"))->skipped, ElementsAre(".git", "b/.DS_Store"));
  EXPECT_EQ(WalkFolder(dir_.In("site"))->files[0].bytes, 1u);
}

TEST_F(FolderTest, LinksThatStayInsideAreFollowed) {
  dir_.Write("site/real/a.css", "x");
  fs::create_symlink("real/a.css", dir_.In("site/link.css"));
  fs::create_directory_symlink("real", dir_.In("site/folder"));
  EXPECT_THAT(Paths(), ElementsAre("folder/a.css", "link.css", "real/a.css"));
}

TEST_F(FolderTest, LinksThatLeaveAreRefusedByName) {
  dir_.Write("secret", "x");
  dir_.Write("site-private/secret", "x");
  dir_.Write("site/index.html", "x");
  for (const char* target : {"../secret", "/etc/passwd", "../site-private", ".."}) {
    fs::create_symlink(target, dir_.In("site/link"));
    EXPECT_THAT(Refusal(), HasSubstr("site/link: a symbolic link that leaves the folder"))
        << target;
    fs::remove(dir_.In("site/link"));
  }
}

TEST_F(FolderTest, LoopsAndDeadLinksAreRefused) {
  dir_.Write("site/a/index.html", "x");
  fs::create_directory_symlink("..", dir_.In("site/a/up"));
  EXPECT_THAT(Refusal(), HasSubstr("leads back"));
  fs::remove(dir_.In("site/a/up"));
  fs::create_symlink("nowhere", dir_.In("site/dead"));
  EXPECT_THAT(Refusal(), HasSubstr("site/dead"));
}

TEST_F(FolderTest, WhatIsNeitherFileNorFolderIsRefused) {
  dir_.Write("site/index.html", "x");
  ASSERT_EQ(::mkfifo(dir_.In("site/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Refusal(), HasSubstr("site/pipe: neither a file nor a folder"));
}

TEST_F(FolderTest, ANameThatIsNotUtf8IsRefused) {
  dir_.Write("site/\xF0\x9F\x98\x80.html", "x");
  EXPECT_EQ(Refusal(), "accepted");
  for (const std::string name :
       {"a\xFF.html", "b\xC3", "c\xC0\xAF", "d\xED\xA0\x80", "e\xE4\xB8"}) {
    const std::string file = dir_.Write("site/" + name, "x");
    EXPECT_THAT(Refusal(), HasSubstr(name + ": the name is not UTF-8"));
    fs::remove(file);
  }
  dir_.Write("site/bad\xFF/index.html", "x");
  EXPECT_THAT(Refusal(), HasSubstr("is not UTF-8"));
}

TEST_F(FolderTest, TheFolderItselfMayBeALinkButMustBeAFolder) {
  dir_.Write("real/index.html", "x");
  fs::create_directory_symlink("real", dir_.In("site"));
  EXPECT_THAT(Paths(), ElementsAre("index.html"));
  EXPECT_FALSE(WalkFolder(dir_.In("none")));
  EXPECT_FALSE(WalkFolder(dir_.In("real/index.html")));
}

TEST_F(FolderTest, HashesWhatIsInTheFile) {
  EXPECT_EQ(HashFile(dir_.Write("a", "hello")).value(),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(HashFile(dir_.In("none")).error().reason, "cannot_read");
}

}  // namespace
}  // namespace nearside::cli
