#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nearside::geodns {

/// Writes MaxMind DB files (format 2.0) for tests: networks of our own, either layout.
class MmdbWriter {
 public:
  struct Value;
  using Map = std::vector<std::pair<std::string, Value>>;
  struct Value {
    std::variant<std::string, double, float, uint32_t, Map> is;
    Value(const char* text) : is(std::string(text)) {}  // NOLINT
    Value(std::string text) : is(std::move(text)) {}    // NOLINT
    Value(double number) : is(number) {}                // NOLINT
    Value(float number) : is(number) {}                 // NOLINT
    Value(uint32_t number) : is(number) {}              // NOLINT
    Value(Map map) : is(std::move(map)) {}              // NOLINT
  };

  explicit MmdbWriter(int ip_version = 6, int record_bits = 24, std::string type = "Test-City");
  /// "10.0.0.0/8"; IPv4 hangs under ::/96 in an IPv6 tree. Later networks win inside earlier ones.
  MmdbWriter& Add(std::string_view network, const Map& record);
  /// MaxMind's layout.
  MmdbWriter& AddCity(std::string_view network, std::string_view country, double latitude,
                      double longitude);
  MmdbWriter& AddCountry(std::string_view network, std::string_view country);
  /// The flat layout, coordinates as float.
  MmdbWriter& AddFlat(std::string_view network, std::string_view country);
  MmdbWriter& AddFlat(std::string_view network, std::string_view country, float latitude,
                      float longitude);
  /// As GeoLite2-ASN and the free databases have it.
  MmdbWriter& AddAsn(std::string_view network, uint32_t number);
  std::string Bytes() const;

 private:
  struct Node {
    int64_t child[2] = {-1, -1};  ///< -1 empty, below -1: data -(2 + index), else a node
  };
  int ip_version_;
  int record_bits_;
  std::string type_;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<std::string> data_;
};

}  // namespace nearside::geodns
