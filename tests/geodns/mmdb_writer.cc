#include "tests/geodns/mmdb_writer.h"

#include <bit>
#include <cstdlib>
#include <cstring>

#include "geodns/address.h"

namespace nearside::geodns {
namespace {

enum Type {
  kString = 2,
  kDouble = 3,
  kUint16 = 5,
  kUint32 = 6,
  kMap = 7,
  kUint64 = 9,
  kFloat = 15
};

void PutControl(int type, size_t size, std::string* out) {
  int size_code = size < 29 ? static_cast<int>(size) : 29;
  int shown = type < 8 ? type : 0;
  *out += static_cast<char>(shown << 5 | size_code);
  if (type >= 8) *out += static_cast<char>(type - 7);
  if (size >= 29) *out += static_cast<char>(size - 29);
}

void PutBig(uint64_t value, int bytes, std::string* out) {
  for (int i = bytes - 1; i >= 0; --i) *out += static_cast<char>(value >> (8 * i));
}

void PutUnsigned(Type type, uint64_t value, std::string* out) {
  int bytes = (64 - std::countl_zero(value) + 7) / 8;
  PutControl(type, static_cast<size_t>(bytes), out);
  PutBig(value, bytes, out);
}

void Put(const MmdbWriter::Value& value, std::string* out) {
  if (const auto* text = std::get_if<std::string>(&value.is)) {
    PutControl(kString, text->size(), out);
    *out += *text;
  } else if (const auto* number = std::get_if<double>(&value.is)) {
    PutControl(kDouble, 8, out);
    PutBig(std::bit_cast<uint64_t>(*number), 8, out);
  } else if (const auto* single = std::get_if<float>(&value.is)) {
    PutControl(kFloat, 4, out);
    PutBig(std::bit_cast<uint32_t>(*single), 4, out);
  } else if (const auto* whole = std::get_if<uint32_t>(&value.is)) {
    PutUnsigned(kUint32, *whole, out);
  } else {
    const auto& map = std::get<MmdbWriter::Map>(value.is);
    PutControl(kMap, map.size(), out);
    for (const auto& [key, inner] : map) {
      Put(key, out);
      Put(inner, out);
    }
  }
}

}  // namespace

MmdbWriter::MmdbWriter(int ip_version, int record_bits, std::string type)
    : ip_version_(ip_version), record_bits_(record_bits), type_(std::move(type)) {}

MmdbWriter& MmdbWriter::Add(std::string_view network_text, const Map& record) {
  auto network = Network::Parse(network_text);
  if (!network) std::abort();
  std::string encoded;
  Put(record, &encoded);
  data_.push_back(encoded);
  int64_t leaf = -2 - static_cast<int64_t>(data_.size() - 1);
  size_t zeros = ip_version_ == 6 && !network->address.is_ipv6 ? 96 : 0;
  size_t bits = zeros + network->prefix_bits;
  size_t node = 0;
  for (size_t i = 0; i < bits; ++i) {
    size_t at = i - zeros;
    size_t bit = i < zeros ? 0 : network->address.bytes[at / 8] >> (7 - at % 8) & 1U;
    int64_t& child = nodes_[node].child[bit];
    if (i + 1 == bits) {
      child = leaf;
      break;
    }
    if (child < 0) {  // a wider network was here: both halves keep it
      int64_t old = child;
      child = static_cast<int64_t>(nodes_.size());
      node = nodes_.size();
      nodes_.push_back({{old, old}});
    } else {
      node = static_cast<size_t>(child);
    }
  }
  return *this;
}

MmdbWriter& MmdbWriter::AddCity(std::string_view network, std::string_view country, double latitude,
                                double longitude) {
  return Add(network, {{"country", Map{{"iso_code", std::string(country)}}},
                       {"location", Map{{"latitude", latitude}, {"longitude", longitude}}}});
}

MmdbWriter& MmdbWriter::AddCountry(std::string_view network, std::string_view country) {
  return Add(network, {{"country", Map{{"iso_code", std::string(country)}}}});
}

MmdbWriter& MmdbWriter::AddFlat(std::string_view network, std::string_view country) {
  return Add(network, {{"country_code", std::string(country)}});
}

MmdbWriter& MmdbWriter::AddFlat(std::string_view network, std::string_view country, float latitude,
                                float longitude) {
  return Add(
      network,
      {{"country_code", std::string(country)}, {"latitude", latitude}, {"longitude", longitude}});
}

MmdbWriter& MmdbWriter::AddAsn(std::string_view network, uint32_t number) {
  return Add(network,
             {{"autonomous_system_number", number}, {"autonomous_system_organization", "Example"}});
}

std::string MmdbWriter::Bytes() const {
  std::vector<uint64_t> offsets;
  std::string data;
  for (const std::string& encoded : data_) {
    offsets.push_back(data.size());
    data += encoded;
  }
  uint64_t count = nodes_.size();
  auto record = [&](int64_t child) {
    if (child >= 0) return static_cast<uint64_t>(child);
    return child == -1 ? count : count + 16 + offsets[static_cast<size_t>(-child - 2)];
  };
  std::string out;
  for (const Node& node : nodes_) {
    uint64_t left = record(node.child[0]);
    uint64_t right = record(node.child[1]);
    if (record_bits_ == 28) {
      PutBig(left & 0xFFFFFF, 3, &out);
      out += static_cast<char>((left >> 20 & 0xF0) | right >> 24);
      PutBig(right & 0xFFFFFF, 3, &out);
    } else {
      PutBig(left, record_bits_ / 8, &out);
      PutBig(right, record_bits_ / 8, &out);
    }
  }
  out.append(16, '\0');
  out += data;
  out += "\xab\xcd\xefMaxMind.com";
  PutControl(kMap, 9, &out);
  auto put = [&](std::string_view key, Type type, uint64_t value) {
    Put(std::string(key), &out);
    PutUnsigned(type, value, &out);
  };
  put("node_count", kUint32, count);
  put("record_size", kUint16, static_cast<uint64_t>(record_bits_));
  put("ip_version", kUint16, static_cast<uint64_t>(ip_version_));
  put("binary_format_major_version", kUint16, 2);
  put("binary_format_minor_version", kUint16, 0);
  put("build_epoch", kUint64, 1'790'000'000);
  Put(std::string("database_type"), &out);
  Put(type_, &out);
  Put(std::string("languages"), &out);
  out += std::string("\x00\x04", 2);  // an empty array
  Put(std::string("description"), &out);
  Put(Map{}, &out);
  return out;
}

}  // namespace nearside::geodns
