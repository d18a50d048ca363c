#include "http/accept_encoding.h"

#include <gtest/gtest.h>

#include <set>

namespace nearside::http {
namespace {

TEST(AcceptEncodingTest, TheCodingsThatARequestAccepts) {
  const struct {
    Fields request;
    std::string_view accepted;
  } rows[] = {
      {{}, "identity"},
      {{{"accept", "gzip"}}, "identity"},
      {{{"accept-encoding", ""}}, "identity"},
      {{{"accept-encoding", "identity"}}, "identity"},
      {{{"accept-encoding", "deflate, compress, dcb"}}, "identity"},
      {{{"accept-encoding", "gzip"}}, "gzip"},
      {{{"accept-encoding", "GZip"}}, "gzip"},
      {{{"accept-encoding", "x-gzip"}}, "gzip"},
      {{{"accept-encoding", "br"}}, "br"},
      {{{"accept-encoding", "zstd"}}, "zstd"},
      {{{"accept-encoding", "gzip, deflate, br"}}, "br, gzip"},
      {{{"accept-encoding", "gzip, deflate, br, zstd"}}, "br, gzip, zstd"},
      {{{"accept-encoding", "zstd,gzip"}}, "gzip, zstd"},
      {{{"accept-encoding", " zstd ,\tbr "}}, "br, zstd"},
      {{{"accept-encoding", "gzip"}, {"accept-encoding", "br"}}, "br, gzip"},
      {{{"accept-encoding", "gzip;q=0.001"}}, "gzip"},
      {{{"accept-encoding", "gzip;q=0"}}, "identity"},
      {{{"accept-encoding", "gzip;q=0.000, br"}}, "br"},
      {{{"accept-encoding", "gzip; Q=0.5, br ; q=0"}}, "gzip"},
      {{{"accept-encoding", "identity;q=0, gzip;q=0.3"}}, "gzip"},
      {{{"accept-encoding", "*"}}, "br, gzip, zstd"},
      {{{"accept-encoding", "*;q=0.1"}}, "br, gzip, zstd"},
      {{{"accept-encoding", "*;q=0"}}, "identity"},
      {{{"accept-encoding", "*, br;q=0"}}, "gzip, zstd"},
      {{{"accept-encoding", "br;q=0, *"}}, "gzip, zstd"},
      {{{"accept-encoding", "br, *;q=0"}}, "br"},
      // What contradicts itself or breaks the grammar is not accepted.
      {{{"accept-encoding", "gzip, gzip;q=0"}}, "identity"},
      {{{"accept-encoding", "x-gzip;q=0, gzip"}}, "identity"},
      {{{"accept-encoding", "gzip;q=high, br"}}, "br"},
      {{{"accept-encoding", "gzip;q=high, *"}}, "br, zstd"},
      {{{"accept-encoding", "gzip br"}}, "identity"},
      {{{"accept-encoding", "\"gzip, br\""}}, "identity"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(AcceptedCodings(row.request).text(), row.accepted) << row.request.ToText();
  }
}

TEST(AcceptEncodingTest, BrBeforeZstdBeforeGzip) {
  const auto best = [](std::string_view value) {
    return CodingName(AcceptedCodings({{"accept-encoding", value}}).best());
  };
  EXPECT_EQ(best("gzip, zstd, br"), "br");
  EXPECT_EQ(best("gzip, zstd"), "zstd");
  EXPECT_EQ(best("gzip, br;q=0.1"), "br");
  EXPECT_EQ(best("gzip"), "gzip");
  EXPECT_EQ(best("deflate"), "identity");
}

TEST(AcceptEncodingTest, EachSetHasATextThatIsReadAsTheSame) {
  std::set<std::string_view> texts;
  for (unsigned bits = 0; bits < 8; ++bits) {
    CodingSet set;
    for (const Coding coding : {Coding::kGzip, Coding::kZstd, Coding::kBr}) {
      if ((bits >> (static_cast<unsigned>(coding) - 1) & 1) != 0) set.Add(coding);
    }
    EXPECT_TRUE(texts.insert(set.text()).second) << set.text();
    EXPECT_EQ(AcceptedCodings({{"accept-encoding", set.text()}}), set) << set.text();
  }
}

}  // namespace
}  // namespace nearside::http
