#include "geodns/geo_database.h"

#include <arpa/inet.h>
#include <maxminddb.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <unordered_map>

namespace nearside::geodns {
namespace {

/// Between the search tree and the data (MaxMind DB format 2.0).
constexpr uint64_t kSeparatorBytes = 16;
/// A node may hang in several places (MaxMind's do, for IPv4 mapped into IPv6); a tree that is
/// walked this many times over has a loop.
constexpr uint64_t kMostWalksPerNode = 4;

tl::unexpected<Error> BadDatabase(const std::string& path, std::string_view what) {
  return Fail(Fault::kOperator, "bad_database", path + ": " + std::string(what));
}

/// A value at a path of keys, or nothing.
std::optional<MMDB_entry_data_s> ValueAt(MMDB_entry_s entry, const char* const* keys) {
  MMDB_entry_data_s data;
  int status = MMDB_aget_value(&entry, &data, keys);
  if (status != MMDB_SUCCESS || !data.has_data) return {};
  return data;
}

std::string_view TextOf(const std::optional<MMDB_entry_data_s>& data) {
  if (!data || data->type != MMDB_DATA_TYPE_UTF8_STRING) return {};
  return {data->utf8_string, data->data_size};
}

std::optional<double> NumberOf(const std::optional<MMDB_entry_data_s>& data) {
  if (!data) return {};
  switch (data->type) {
    case MMDB_DATA_TYPE_DOUBLE:
      return data->double_value;
    case MMDB_DATA_TYPE_FLOAT:
      return static_cast<double>(data->float_value);
    default:
      return {};
  }
}

/// An unsigned number of 32 bits or less; 0 when it is none.
uint32_t UnsignedOf(const std::optional<MMDB_entry_data_s>& data) {
  if (!data) return 0;
  switch (data->type) {
    case MMDB_DATA_TYPE_UINT16:
      return data->uint16;
    case MMDB_DATA_TYPE_UINT32:
      return data->uint32;
    default:
      return 0;
  }
}

std::string_view TextAt(MMDB_entry_s entry, const char* key, const char* inner = nullptr) {
  const char* const keys[] = {key, inner, nullptr};
  return TextOf(ValueAt(entry, keys));
}

std::optional<Coordinates> CoordinatesAt(MMDB_entry_s entry, bool nested) {
  const char* const nested_keys[2][3] = {{"location", "latitude", nullptr},
                                         {"location", "longitude", nullptr}};
  const char* const flat_keys[2][2] = {{"latitude", nullptr}, {"longitude", nullptr}};
  auto latitude = NumberOf(ValueAt(entry, nested ? nested_keys[0] : flat_keys[0]));
  if (!latitude) return {};
  auto longitude = NumberOf(ValueAt(entry, nested ? nested_keys[1] : flat_keys[1]));
  if (!longitude || !(*latitude >= -90 && *latitude <= 90)) return {};
  if (!(*longitude >= -180 && *longitude <= 180)) return {};
  return Coordinates{*latitude, *longitude};
}

Locality LocalityAt(MMDB_entry_s entry) {
  Locality locality;
  std::string_view country = TextAt(entry, "country", "iso_code");
  if (country.empty()) country = TextAt(entry, "country_code");
  locality.country = CountryCode::Parse(country).value_or(CountryCode());
  std::string_view continent = TextAt(entry, "continent", "code");
  locality.continent = ContinentFromText(continent).value_or(Continent::kNone);
  locality.coordinates = CoordinatesAt(entry, true);
  if (!locality.coordinates) locality.coordinates = CoordinatesAt(entry, false);
  const char* const asn_keys[] = {"autonomous_system_number", nullptr};
  locality.asn = UnsignedOf(ValueAt(entry, asn_keys));
  return locality;
}

/// "autonomous_system_number, autonomous_system_organization", for an error about a record: its
/// keys up to the first one with a map or list inside.
std::string KeysOf(MMDB_entry_s entry) {
  MMDB_entry_data_list_s* list = nullptr;
  std::string keys;
  if (MMDB_get_entry_data_list(&entry, &list) == MMDB_SUCCESS && list != nullptr &&
      list->entry_data.type == MMDB_DATA_TYPE_MAP) {
    // A flat list: key, value, key, value.
    MMDB_entry_data_list_s* at = list->next;
    for (uint32_t left = list->entry_data.data_size; left > 0 && at != nullptr; --left) {
      const MMDB_entry_data_s& key = at->entry_data;
      if (!keys.empty()) keys += ", ";
      keys.append(key.utf8_string, key.data_size);
      at = at->next;
      if (at == nullptr || at->entry_data.type == MMDB_DATA_TYPE_MAP ||
          at->entry_data.type == MMDB_DATA_TYPE_ARRAY) {
        break;
      }
      at = at->next;
    }
  }
  MMDB_free_entry_data_list(list);
  return keys.empty() ? "no map of values" : keys;
}

}  // namespace

struct GeoDatabase::Handle {
  MMDB_s mmdb{};
  bool open = false;
  struct stat opened {};
  ~Handle() {
    if (open) MMDB_close(&mmdb);
  }
};

/// One pass over the search tree.
class GeoDatabase::Walk {
 public:
  Walk(const GeoDatabase& database, LocalityNumbers& numbers)
      : database_(database), mmdb_(&database.handle_->mmdb), numbers_(numbers) {}

  Result<Tries> Run();

 private:
  using Ref = TrieBuilder::Ref;
  static constexpr unsigned kAllBits4 = 32;
  static constexpr unsigned kAllBits6 = 128;

  Ref Join(uint64_t record, unsigned bits_left, bool skip_ipv4);
  Ref LeafOf(uint64_t record);
  uint64_t data_begin() const { return mmdb_->metadata.node_count + kSeparatorBytes; }
  MMDB_entry_s EntryOf(uint64_t record) const {
    return {mmdb_, static_cast<uint32_t>(record - data_begin())};
  }
  Status CheckContent() const;

  const GeoDatabase& database_;
  const MMDB_s* mmdb_;
  LocalityNumbers& numbers_;
  TrieBuilder builder_;
  std::unordered_map<uint64_t, uint32_t> number_of_record_;
  uint64_t visits_ = 0;
  bool damaged_ = false;
  uint64_t useful_ = 0;       ///< records that say something
  uint64_t some_record_ = 0;  ///< any record, to tell what is in them
};

Result<GeoDatabase::Tries> GeoDatabase::Walk::Run() {
  Tries tries;
  bool has_ipv6 = mmdb_->metadata.ip_version == 6;
  uint64_t ipv4_root = has_ipv6 ? mmdb_->ipv4_start_node.node_value : 0;
  Ref root = Join(ipv4_root, kAllBits4, false);
  tries.ipv4 = builder_.Finish(root);
  if (has_ipv6 && !damaged_) {
    root = Join(0, kAllBits6, true);
    tries.ipv6 = builder_.Finish(root);
  }
  if (damaged_)
    return BadDatabase(database_.path_, "the search tree is damaged; expected a whole MMDB file");
  if (auto status = CheckContent(); !status) return tl::unexpected(std::move(status.error()));
  return tries;
}

/// `record`: a node, the empty record, or data. With `skip_ipv4` the part of an IPv6 tree that
/// holds IPv4 is left out: IPv4 addresses are looked up as such, and the files hang it in several
/// places.
GeoDatabase::Walk::Ref GeoDatabase::Walk::Join(uint64_t record, unsigned bits_left,
                                               bool skip_ipv4) {
  if (record >= mmdb_->metadata.node_count) return LeafOf(record);
  if (skip_ipv4 && record == mmdb_->ipv4_start_node.node_value) return TrieBuilder::Leaf(0);
  if (bits_left == 0 || ++visits_ > kMostWalksPerNode * mmdb_->metadata.node_count) {
    damaged_ = true;
    return TrieBuilder::Leaf(0);
  }
  MMDB_search_node_s node;
  if (damaged_ || MMDB_read_node(mmdb_, static_cast<uint32_t>(record), &node) != MMDB_SUCCESS) {
    damaged_ = true;
    return TrieBuilder::Leaf(0);
  }
  Ref zero = Join(node.left_record, bits_left - 1, skip_ipv4);
  Ref one = Join(node.right_record, bits_left - 1, skip_ipv4);
  return builder_.Join(zero, one);
}

GeoDatabase::Walk::Ref GeoDatabase::Walk::LeafOf(uint64_t record) {
  if (record == mmdb_->metadata.node_count) return TrieBuilder::Leaf(0);
  if (record < data_begin() || record - data_begin() >= mmdb_->data_section_size) {
    damaged_ = true;
    return TrieBuilder::Leaf(0);
  }
  auto [at, is_new] = number_of_record_.try_emplace(record, 0);
  if (is_new) {
    Locality locality = LocalityAt(EntryOf(record));
    if (locality != Locality()) ++useful_;
    some_record_ = record;
    at->second = numbers_.Number(locality);
  }
  return TrieBuilder::Leaf(at->second);
}

Status GeoDatabase::Walk::CheckContent() const {
  if (useful_ > 0) return {};
  std::string has =
      some_record_ == 0 ? "it has no records" : "its records have " + KeysOf(EntryOf(some_record_));
  return BadDatabase(database_.path_,
                     "no record has a country (country.iso_code, country_code), coordinates "
                     "(location.latitude, latitude) or an autonomous system "
                     "(autonomous_system_number): this is a \"" +
                         database_.type() + "\" and " + has);
}

GeoDatabase::GeoDatabase(std::string path, std::unique_ptr<Handle> handle)
    : path_(std::move(path)), handle_(std::move(handle)) {}

GeoDatabase::~GeoDatabase() = default;

Result<std::unique_ptr<GeoDatabase>> GeoDatabase::Open(const std::string& path) {
  auto handle = std::make_unique<Handle>();
  int status = MMDB_open(path.c_str(), MMDB_MODE_MMAP, &handle->mmdb);
  if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
    return BadDatabase(path, std::string(std::strerror(errno)) + "; expected an MMDB file");
  if (status != MMDB_SUCCESS) {
    return BadDatabase(path, std::string("no usable MMDB file: ") + MMDB_strerror(status));
  }
  handle->open = true;
  ::stat(path.c_str(), &handle->opened);
  return std::unique_ptr<GeoDatabase>(new GeoDatabase(path, std::move(handle)));
}

Result<GeoDatabase::Tries> GeoDatabase::ReadTries(LocalityNumbers& numbers) const {
  auto tries = Walk(*this, numbers).Run();
  // From here on only explain looks into the file, a page or two at a time.
  const MMDB_s& mmdb = handle_->mmdb;
  madvise(const_cast<uint8_t*>(mmdb.file_content), static_cast<size_t>(mmdb.file_size),
          MADV_DONTNEED);
  return tries;
}

/// Whoever copies over the file instead of renaming makes it shorter for a while: touching what is
/// mapped would then end the process.
bool GeoDatabase::IsCutOff() const {
  struct stat now {};
  const struct stat& then = handle_->opened;
  return ::stat(path_.c_str(), &now) == 0 && now.st_dev == then.st_dev &&
         now.st_ino == then.st_ino && now.st_size < then.st_size;
}

std::optional<GeoDatabase::Lookup> GeoDatabase::Find(const IpAddress& address) const {
  if (IsCutOff()) return {};
  sockaddr_storage storage{};
  if (address.is_ipv6) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
    in6->sin6_family = AF_INET6;
    std::memcpy(&in6->sin6_addr, address.bytes.data(), 16);
  } else {
    auto* in4 = reinterpret_cast<sockaddr_in*>(&storage);
    in4->sin_family = AF_INET;
    std::memcpy(&in4->sin_addr, address.bytes.data(), 4);
  }
  int error = MMDB_SUCCESS;
  auto found = MMDB_lookup_sockaddr(&handle_->mmdb, reinterpret_cast<sockaddr*>(&storage), &error);
  if (error != MMDB_SUCCESS || !found.found_entry) return {};
  unsigned bits = found.netmask;
  if (!address.is_ipv6 && handle_->mmdb.metadata.ip_version == 6) bits = bits > 96 ? bits - 96 : 0;
  return Lookup{Network::Of(address, static_cast<uint8_t>(bits)), LocalityAt(found.entry),
                std::string(TextAt(found.entry, "autonomous_system_organization"))};
}

std::string GeoDatabase::type() const { return handle_->mmdb.metadata.database_type; }

WallTime GeoDatabase::built() const {
  return FromUnixMillis(static_cast<int64_t>(handle_->mmdb.metadata.build_epoch) * 1000);
}

uint32_t GeoDatabase::node_count() const { return handle_->mmdb.metadata.node_count; }

}  // namespace nearside::geodns
