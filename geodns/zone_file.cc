#include "geodns/zone_file.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "dns/text_form.h"
#include "dns/wire.h"
#include "geodns/zone_scanner.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;

bool IsClass(std::string_view word, std::string_view name) {
  if (word.size() != name.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if ((word[i] | 0x20) != name[i]) return false;
  }
  return true;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Why records of a type cannot stand in our zone files; empty: they can.
std::string_view Refusal(uint16_t record_type) {
  switch (record_type) {
    case type::kRrsig:
    case type::kNsec:
    case type::kNsec3:
    case type::kNsec3Param:
      return "comes from a signed zone: give the unsigned one";
    case type::kDname:
      return "is not supported: write the names out, or use a wildcard CNAME";
    default:
      return dns::IsMetaType(record_type) ? "is a type of question, not of record" : "";
  }
}

/// What stands before a record's data.
struct Front {
  uint16_t type = 0;
  std::optional<uint32_t> ttl;
  size_t words = 0;  ///< taken, with the owner's
};

/// Reads one file; gathers records and errors.
class ZoneReader {
 public:
  ZoneReader(std::string_view file_name, dns::NameView zone, const IncludeReader& includes)
      : file_(std::make_shared<const std::string>(file_name)),
        open_({*file_}),
        zone_(zone),
        origin_(zone),
        includes_(includes) {}

  Result<std::vector<ZoneRecord>> Read(std::string_view text);

 private:
  void ReadEntries(std::string_view text);
  void TakeInclude(const ZoneEntry& entry);
  void TakeEntry(const ZoneEntry& entry);
  void TakeDirective(const ZoneEntry& entry);
  void TakeRecord(const ZoneEntry& entry);
  std::optional<Front> TakeFront(const ZoneEntry& entry);
  bool TakeOwner(const ZoneEntry& entry);
  std::optional<uint16_t> TakeType(const ZoneEntry& entry, size_t at);
  std::optional<uint32_t> ChooseTtl(const Front& front, const std::vector<uint8_t>& rdata);
  void AddError(int line, std::string_view message);

  std::shared_ptr<const std::string> file_;  ///< that is being read
  std::vector<std::string> open_;            ///< file_ and those that include it
  dns::NameView zone_;
  dns::Name origin_;
  const IncludeReader& includes_;
  size_t included_ = 0;
  size_t bytes_ = 0;  ///< of all files so far
  dns::Name owner_;
  bool has_owner_ = false;
  std::optional<uint32_t> default_ttl_;  ///< $TTL
  std::optional<uint32_t> last_ttl_;     ///< of the last record that said one, or SOA's minimum
  std::vector<ZoneRecord> records_;
  std::string errors_;
  size_t error_count_ = 0;
};

Result<std::vector<ZoneRecord>> ZoneReader::Read(std::string_view text) {
  ReadEntries(text);
  if (error_count_ > 0) return Fail(Fault::kOperator, "bad_zone", std::move(errors_));
  return std::move(records_);
}

void ZoneReader::ReadEntries(std::string_view text) {
  bytes_ += text.size();
  if (bytes_ > kMaxZoneBytes) return AddError(1, "expected 256 MiB at most of all files together");
  ZoneScanner scanner(text);
  ZoneEntry entry;
  while (error_count_ < kMaxZoneErrors) {
    auto more = scanner.Next(&entry);
    if (!more) {
      AddError(scanner.line(), more.error().message);
    } else if (*more) {
      TakeEntry(entry);
    } else {
      break;
    }
  }
}

void ZoneReader::AddError(int line, std::string_view message) {
  if (error_count_++ > 0) errors_ += '\n';
  errors_ += *file_ + ":" + std::to_string(line) + ": " + std::string(message);
}

void ZoneReader::TakeEntry(const ZoneEntry& entry) {
  const dns::Word& first = entry.words.front();
  if (!entry.begins_blank && !first.quoted && first.text[0] == '$') {
    TakeDirective(entry);
  } else {
    TakeRecord(entry);
  }
}

void ZoneReader::TakeDirective(const ZoneEntry& entry) {
  const std::string& directive = entry.words[0].text;
  if (directive == "$INCLUDE") return TakeInclude(entry);
  if (directive != "$ORIGIN" && directive != "$TTL") {
    return AddError(entry.line, directive + " is not supported: $ORIGIN, $TTL and $INCLUDE are");
  }
  if (entry.words.size() != 2) {
    return AddError(entry.line, "expected one word after " + directive);
  }
  if (directive == "$TTL") {
    auto ttl = dns::SecondsFromText(entry.words[1].text);
    if (!ttl) return AddError(entry.line, ttl.error().message);
    default_ttl_ = *ttl;
    return;
  }
  auto origin = dns::Name::FromText(entry.words[1].text, origin_);
  if (!origin) return AddError(entry.line, origin.error().message);
  origin_ = *origin;
}

/// "others.zone" of "/etc/zones/main.zone" is "/etc/zones/others.zone".
std::string PathFrom(const std::string& including, const std::string& path) {
  if (path.starts_with('/')) return path;
  return including.substr(0, including.rfind('/') + 1) + path;
}

/// $INCLUDE FILE [ORIGIN]. Afterwards origin, owner and TTLs are as before it (RFC 1035 §5.1 for
/// the first two).
void ZoneReader::TakeInclude(const ZoneEntry& entry) {
  if (entry.words.size() < 2 || entry.words.size() > 3) {
    return AddError(entry.line, "expected a file after $INCLUDE, and perhaps an origin");
  }
  if (!includes_) return AddError(entry.line, "$INCLUDE cannot be read here");
  if (open_.size() > kMaxIncludeDepth) return AddError(entry.line, "$INCLUDE inside 8 others");
  if (included_++ == kMaxIncludes) return AddError(entry.line, "$INCLUDE for the 1001st time");
  dns::Name origin = origin_;
  if (entry.words.size() == 3) {
    auto given = dns::Name::FromText(entry.words[2].text, origin_);
    if (!given) return AddError(entry.line, given.error().message);
    origin = *given;
  }
  auto name = dns::Unescape(entry.words[1].text);
  if (!name) return AddError(entry.line, "\\ must be followed by a character or three digits");
  std::string path = PathFrom(*file_, {name->begin(), name->end()});
  if (std::ranges::find(open_, path) != open_.end()) {
    return AddError(entry.line, "$INCLUDE of " + path + " inside itself");
  }
  auto text = includes_(path);
  if (!text) return AddError(entry.line, text.error().message + "; expected a zone file");
  auto before = std::tuple(file_, origin_, owner_, has_owner_, default_ttl_, last_ttl_);
  file_ = std::make_shared<const std::string>(path);
  origin_ = origin;
  open_.push_back(path);
  ReadEntries(*text);
  open_.pop_back();
  std::tie(file_, origin_, owner_, has_owner_, default_ttl_, last_ttl_) = std::move(before);
}

bool ZoneReader::TakeOwner(const ZoneEntry& entry) {
  if (entry.begins_blank) {
    if (!has_owner_)
      AddError(entry.line,
               "expected a name: there is no record before whose name this one could have");
    return has_owner_;
  }
  auto owner = dns::Name::FromText(entry.words[0].text, origin_);
  if (!owner) {
    AddError(entry.line, owner.error().message);
    return false;
  }
  owner_ = *owner;
  has_owner_ = true;
  return true;
}

std::optional<uint16_t> ZoneReader::TakeType(const ZoneEntry& entry, size_t at) {
  if (at == entry.words.size()) {
    AddError(entry.line, "expected a type like A or TXT, and there is none");
    return {};
  }
  const std::string& word = entry.words[at].text;
  auto record_type = dns::TypeFromText(word);
  if (!record_type) {
    AddError(entry.line, "expected a type like A or TXT, got \"" + word + "\"");
    return {};
  }
  if (std::string_view refusal = Refusal(*record_type); !refusal.empty()) {
    AddError(entry.line, dns::TypeToText(*record_type) + " " + std::string(refusal));
    return {};
  }
  return record_type;
}

/// Owner, then TTL and class in any order, then the type.
std::optional<Front> ZoneReader::TakeFront(const ZoneEntry& entry) {
  if (!TakeOwner(entry)) return {};
  Front front;
  bool has_class = false;
  size_t at = entry.begins_blank ? 0 : 1;
  for (; at < entry.words.size(); ++at) {
    const std::string& word = entry.words[at].text;
    if (!has_class && (IsClass(word, "in") || IsClass(word, "class1"))) {
      has_class = true;
    } else if (IsClass(word, "ch") || IsClass(word, "hs") || IsClass(word, "cs")) {
      AddError(entry.line, "class " + word + " is not served: only IN is");
      return {};
    } else if (!front.ttl && !word.empty() && IsDigit(word[0])) {
      auto seconds = dns::SecondsFromText(word);
      if (!seconds) {
        AddError(entry.line, seconds.error().message);
        return {};
      }
      front.ttl = *seconds;
    } else {
      break;
    }
  }
  auto record_type = TakeType(entry, at);
  if (!record_type) return {};
  front.type = *record_type;
  front.words = at + 1;
  return front;
}

/// The record's own; RFC 2308 §4: $TTL; else the last one given (RFC 1035 §5.1); for SOA its
/// minimum.
std::optional<uint32_t> ZoneReader::ChooseTtl(const Front& front,
                                              const std::vector<uint8_t>& rdata) {
  if (front.ttl) last_ttl_ = front.ttl;
  if (front.ttl || default_ttl_) return front.ttl ? front.ttl : default_ttl_;
  if (front.type == type::kSoa && !last_ttl_) {
    last_ttl_ = dns::Load32(rdata.data() + rdata.size() - 4);
  }
  return last_ttl_;
}

void ZoneReader::TakeRecord(const ZoneEntry& entry) {
  auto front = TakeFront(entry);
  if (!front) return;
  if (!owner_.view().IsAtOrBelow(zone_)) {
    return AddError(entry.line, owner_.ToText() + " is not in the zone " + zone_.ToText());
  }
  auto words = std::span(entry.words).subspan(front->words);
  auto rdata = dns::RdataFromWords(front->type, words, origin_);
  if (!rdata) {
    return AddError(entry.line, dns::TypeToText(front->type) + ": " + rdata.error().message);
  }
  auto ttl = ChooseTtl(*front, *rdata);
  if (!ttl) return AddError(entry.line, "no TTL: write $TTL 300 at the top of the file");
  auto owner = owner_.view().bytes();
  records_.push_back({.owner = {owner.begin(), owner.end()},
                      .type = front->type,
                      .ttl = *ttl,
                      .rdata = std::move(*rdata),
                      .line = entry.line,
                      .file = file_});
}

}  // namespace

Result<std::vector<ZoneRecord>> ParseZoneFile(std::string_view text, std::string_view file_name,
                                              dns::NameView origin, const IncludeReader& includes) {
  if (text.size() > kMaxZoneFileBytes) {
    return Fail(Fault::kOperator, "bad_zone",
                std::string(file_name) + ":1: expected a file of 256 MiB at most");
  }
  return ZoneReader(file_name, origin, includes).Read(text);
}

std::string PlaceInFile(const ZoneRecord& record, std::string_view file_name) {
  return std::string(record.file ? std::string_view(*record.file) : file_name) + ":" +
         std::to_string(record.line);
}

}  // namespace nearside::geodns
