#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace nearside::cli {
namespace {

/// What is printed to a file that is no terminal.
template <typename Work>
std::string Printed(Work work) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* file = ::open_memstream(&text, &size);
  {
    Terminal terminal(file, file);
    work(terminal);
  }
  std::fclose(file);
  std::string printed(text, size);
  std::free(text);
  return printed;
}

TEST(TerminalTest, AFileGetsNoColours) {
  EXPECT_EQ(Printed([](Terminal& terminal) {
              terminal.Line(terminal.Paint(Colour::kRed, "plain"));
              terminal.Error("wrong");
            }),
            "plain\nnearside: wrong\n");
}

TEST(TerminalTest, ColumnsLineUpWhateverLettersAreInThem) {
  EXPECT_EQ(Printed([](Terminal& terminal) {
              TextTable table({"NAME", "N"});
              table.Add({"k\xC3\xB6ln", "10"});
              table.Add({"frankfurt", "2"}, Colour::kGreen);
              table.Print(terminal);
            }),
            "NAME       N\nk\xC3\xB6ln       10\nfrankfurt  2\n");
}

TEST(TerminalTest, ProgressElsewhereThanOnATerminalIsOneLineAtTheEnd) {
  const std::string printed = Printed([](Terminal& terminal) {
    Progress progress(terminal, "uploading", 100, 2);
    progress.AddBytes(60);
    progress.ItemDone();
    progress.AddBytes(60);  // a file that grew: never above the whole
    progress.ItemDone();
    progress.Finish();
    progress.Finish();
  });
  EXPECT_EQ(printed.substr(0, 31), "uploading  2/2 files  100 B\n");
}

TEST(HumanTest, NumbersAreForPeople) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1000), "1.0 kB");
  EXPECT_EQ(HumanBytes(999'960), "1.0 MB");
  EXPECT_EQ(HumanBytes(37'944'632), "37.9 MB");
  EXPECT_EQ(HumanDuration(milliseconds(0)), "0 ms");
  EXPECT_EQ(HumanDuration(milliseconds(999)), "999 ms");
  EXPECT_EQ(HumanDuration(milliseconds(1500)), "1.5 s");
  EXPECT_EQ(HumanDuration(seconds(300)), "5 min");
  EXPECT_EQ(HumanDuration(seconds(7200)), "2 h");
  EXPECT_EQ(HumanDuration(seconds(259'200)), "3 d");
  EXPECT_EQ(HumanTime(1'795'161'922'809), "2026-11-20 08:05:22Z");
  EXPECT_EQ(Count(1, "file"), "1 file");
  EXPECT_EQ(Count(0, "file"), "0 files");
}

TEST(HumanTest, WhatATerminalWouldObeyIsNotShownToIt) {
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(Printable("k\xC3\xB6ln"), "k\xC3\xB6ln");
}

}  // namespace
}  // namespace nearside::cli
