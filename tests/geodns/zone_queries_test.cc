#include "geodns/zone_queries.h"

#include <gtest/gtest.h>

#include "geodns/zone_file.h"

namespace nearside::geodns {
namespace {

std::shared_ptr<const Zone> EmptyZone(std::string_view name) {
  auto origin = *dns::Name::FromText(name);
  auto records = ParseZoneFile("$TTL 9\n@ SOA ns h 1 1 1 1 1\n@ NS ns.test.\n", "z", origin);
  return std::make_shared<const Zone>(*Zone::Build(origin, "z", std::move(*records), {}));
}

/// "a.test. 3\nb.test. 1\n"
std::string SamplesText(const ZoneQueries& queries) {
  std::string text;
  for (const auto& sample : queries.Samples()) {
    text += sample.labels[0].second + " " + std::to_string(static_cast<int>(sample.value)) + "\n";
  }
  return text;
}

TEST(ZoneQueriesTest, AZoneKeepsItsCountAsLongAsItIsServed) {
  const auto a = EmptyZone("a.test."), b = EmptyZone("b.test."), c = EmptyZone("c.test.");
  ZoneQueries queries(2);
  ZoneCounters first = queries.For(std::vector{a, b});
  ASSERT_EQ(first.size(), 2U);
  first[0]->Add(0);
  first[0]->Add(1);
  first[1]->Add(1);
  EXPECT_EQ(SamplesText(queries), "a.test. 2\nb.test. 1\n");
  ZoneCounters second = queries.For(std::vector{c, a});
  EXPECT_EQ(second[1], first[0]);
  second[1]->Add(0);
  first[1]->Add(0);  // a worker that still has the snapshot before
  EXPECT_EQ(SamplesText(queries), "a.test. 3\nc.test. 0\n");
  queries.For(std::vector{b});
  EXPECT_EQ(SamplesText(queries), "b.test. 0\n") << "it begins anew";
}

}  // namespace
}  // namespace nearside::geodns
