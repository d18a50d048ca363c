#pragma once

#include <map>
#include <string>
#include <vector>

#include "geodns/zone.h"

namespace nearside::geodns {

/// Turns a file's records into a Zone, once. Used by Zone::Build alone.
class ZoneBuilder {
 public:
  ZoneBuilder(dns::NameView origin, std::string_view file_name);

  void Add(std::vector<ZoneRecord> records);
  void Add(std::vector<SteeredName> steered);
  Result<Zone> Build();

 private:
  /// Everything at one name while the zone is put together.
  struct Content {
    std::vector<uint8_t> owner;  ///< case as first written
    std::vector<ZoneRecord> records;
    std::vector<ZoneRecord> aliases;  ///< taken out of `records`
    uint32_t steer = Zone::kNone;
    std::string steered_where;
    uint32_t node = Zone::kNone;
  };
  /// Folded wire names; the map's order has no meaning but is the same in every run.
  using Contents = std::map<std::vector<uint8_t>, Content>;

  Content& At(dns::NameView name);
  std::string PlaceOf(const ZoneRecord& record) const;
  void AddAncestors();
  void CheckApex();
  void CheckContents();
  void CheckContent(Content& content);
  void CheckSets(const Content& content);
  void CheckAlias(const Content& content);
  void CheckNameServer(const ZoneRecord& record, const Content& owner);
  void CheckDs(const ZoneRecord& record, const Content& owner);
  void PlaceNodes();
  void PlaceNode(const std::vector<uint8_t>& folded, Content& content);
  void PlaceAlias(const Content& content, Zone::Node* node);
  void PlaceRrSet(std::span<const ZoneRecord> records, const Content& owner);
  const Content* Serving(dns::NameView name) const;
  uint32_t SteerOf(const Content* content) const;
  uint32_t SteerOfHints(const ZoneRecord& record, const Content& owner) const;
  void Digest();
  void LinkCutsAndWildcards();
  void LinkGlue();
  void FillTable();
  uint32_t Keep(std::span<const uint8_t> bytes);
  const Content* Lookup(dns::NameView name) const;
  void AddError(const ZoneRecord& record, std::string_view message);
  void AddError(std::string_view where, std::string_view message);

  dns::Name origin_;
  std::string file_name_;
  Contents contents_;
  std::string errors_;
  size_t error_count_ = 0;
  Zone zone_;
};

}  // namespace nearside::geodns
