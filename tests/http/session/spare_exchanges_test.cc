#include "http/session/spare_exchanges.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/session/http2_exchange.h"

namespace nearside::http {
namespace {

TEST(SpareExchangesTest, TheLatestComesBackFirst) {
  SpareExchanges spare;
  auto first = spare.Take();
  auto second = spare.Take();
  const Http2Exchange* latest = second.get();
  spare.Give(std::move(first));
  spare.Give(std::move(second));
  EXPECT_EQ(spare.Take().get(), latest);
  EXPECT_EQ(spare.size(), 1u);
}

TEST(SpareExchangesTest, NeitherManyNorLargeOnesAreKept) {
  SpareExchanges spare;
  std::vector<std::unique_ptr<Http2Exchange>> many;
  for (size_t i = 0; i < SpareExchanges::kMost + 1; ++i) many.push_back(spare.Take());
  for (auto& exchange : many) spare.Give(std::move(exchange));
  EXPECT_EQ(spare.size(), SpareExchanges::kMost);
  auto large = spare.Take();
  large->head.target = std::string(SpareExchanges::kMostHeadBytes + 1, 'a');
  spare.Give(std::move(large));
  EXPECT_EQ(spare.size(), SpareExchanges::kMost - 1);
  auto refused = spare.Take();  // before its crumbs became a field
  refused->cookie = std::string(SpareExchanges::kMostHeadBytes + 1, 'a');
  spare.Give(std::move(refused));
  EXPECT_EQ(spare.size(), SpareExchanges::kMost - 2);
  auto with_fields = spare.Take();
  with_fields->head.fields.Add("a", std::string(SpareExchanges::kMostHeadBytes, 'a'));
  spare.Give(std::move(with_fields));
  EXPECT_EQ(spare.size(), SpareExchanges::kMost - 3);
}

}  // namespace
}  // namespace nearside::http
