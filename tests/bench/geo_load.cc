// Reads databases as nearside-geodns does and says what that takes.
//
//   geo_load FILE... [ASN...]

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "geodns/geo_map.h"
#include "geodns/steer_table.h"

using namespace nearside;

namespace {

/// A line of /proc/self/status, in MiB.
long StatusMib(std::string_view key) {
  std::ifstream file("/proc/self/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(key)) return std::stol(line.substr(key.size() + 1)) / 1024;
  }
  return 0;
}

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> files;
  std::vector<uint32_t> asns;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.find_first_not_of("0123456789") == std::string::npos) {
      asns.push_back(static_cast<uint32_t>(std::stoul(word)));
    } else {
      files.push_back(word);
    }
  }
  // Frankfurt, Virginia, Tokyo, Sydney, Sao Paulo, Singapore.
  const geodns::Coordinates pops[] = {{50.11, 8.68},    {39.04, -77.49},  {35.68, 139.69},
                                      {-33.87, 151.21}, {-23.55, -46.63}, {1.35, 103.82}};
  double began = CpuSeconds();
  auto map = geodns::GeoMap::Load(files, pops, asns);
  if (!map) {
    std::fprintf(stderr, "%s\n", map.error().message.c_str());
    return 1;
  }
  std::printf(
      "read in %.2f s of CPU: %zu places, tries of %zu MiB; resident %ld MiB, at most %ld\n",
      CpuSeconds() - began, (*map)->place_count(), (*map)->memory_bytes() >> 20,
      StatusMib("VmRSS:"), StatusMib("VmHWM:"));
  geodns::SteerRule rule{.pops = {0, 1, 2, 3, 4, 5}};
  geodns::Health health{.pops = std::vector(6, geodns::PopState::kUp)};
  began = CpuSeconds();
  auto table = geodns::SteerTable::Make(rule, **map, health, std::vector<uint32_t>(6, 1));
  std::printf("table of one rule in %.0f ms of CPU: %zu KiB, %zu outcomes\n",
              (CpuSeconds() - began) * 1000, table->memory_bytes() >> 10, table->outcome_count());
  return 0;
}
