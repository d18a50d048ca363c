#include "geodns/zone_queries.h"

#include <utility>

namespace nearside::geodns {

uint64_t ZoneCounter::Sum() const {
  uint64_t sum = 0;
  for (const Line& line : lines_) sum += line.count.load(std::memory_order_relaxed);
  return sum;
}

ZoneCounters ZoneQueries::For(std::span<const std::shared_ptr<const Zone>> zones) {
  auto before = std::exchange(counters_, {});
  ZoneCounters in_order;
  for (const auto& zone : zones) {
    const std::string name = zone->origin().ToText();
    auto& counter = counters_[name];
    if (auto kept = before.find(name); kept != before.end()) counter = kept->second;
    if (counter == nullptr) counter = std::make_shared<ZoneCounter>(workers_);
    in_order.push_back(counter);
  }
  return in_order;
}

std::vector<metrics::Registry::Sample> ZoneQueries::Samples() const {
  std::vector<metrics::Registry::Sample> samples;
  for (const auto& [name, counter] : counters_) {
    samples.push_back({{{"zone", name}}, static_cast<double>(counter->Sum())});
  }
  return samples;
}

}  // namespace nearside::geodns
