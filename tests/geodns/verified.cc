#include "tests/geodns/verified.h"

#include <ldns/ldns.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "dns/rdata.h"
#include "dns/record_type.h"

namespace nearside::geodns {
namespace {

std::string TakeText(char* text) {
  std::string taken = text == nullptr ? "?" : text;
  std::free(text);
  while (!taken.empty() && (taken.back() == '\n' || taken.back() == ' ')) taken.pop_back();
  std::replace(taken.begin(), taken.end(), '\t', ' ');
  return taken;
}

struct ListDeleter {
  void operator()(ldns_rr_list* list) const { ldns_rr_list_free(list); }
};
/// Lists of records that the packet owns.
using ListPtr = std::unique_ptr<ldns_rr_list, ListDeleter>;

struct SignedSet {
  ListPtr records{ldns_rr_list_new()};
  ListPtr signatures{ldns_rr_list_new()};
};

std::string TypeText(uint16_t type) { return dns::TypeToText(type); }

std::string DataText(const ldns_rr* record) {
  std::string text;
  for (size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
    text += " " + TakeText(ldns_rdf2str(ldns_rr_rdf(record, i)));
  }
  return text;
}

std::string SetText(const SignedSet& set, const ldns_rr_list* keys, time_t now) {
  const size_t signatures = ldns_rr_list_rr_count(set.signatures.get());
  if (ldns_rr_list_rr_count(set.records.get()) == 0) return " stray";
  if (signatures == 0) return " unsigned";
  size_t good = 0;
  std::string text;
  for (size_t i = 0; i < signatures; ++i) {
    const ldns_rr* rrsig = ldns_rr_list_rr(set.signatures.get(), i);
    const ListPtr used(ldns_rr_list_new());
    const ldns_status status =
        ldns_verify_rrsig_keylist_time(set.records.get(), rrsig, keys, now, used.get());
    if (ldns_rr_ttl(rrsig) != ldns_rr_ttl(ldns_rr_list_rr(set.records.get(), 0))) {
      text += " other TTL";
    }
    if (status == LDNS_STATUS_OK) {
      ++good;
    } else {
      text += std::string(" bogus: ") + ldns_get_errorstr_by_id(status);
    }
  }
  return " signed " + std::to_string(good) + text;
}

void AppendSets(const std::string& section, const ldns_rr_list* list, const ldns_rr_list* keys,
                time_t now, std::string* out) {
  std::vector<std::pair<std::string, SignedSet>> sets;  // in the order of the answer
  const auto set_of = [&](const std::string& name) -> SignedSet& {
    for (auto& [known, set] : sets) {
      if (known == name) return set;
    }
    return sets.emplace_back(name, SignedSet()).second;
  };
  for (size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    ldns_rr* record = ldns_rr_list_rr(list, i);
    const std::string owner = TakeText(ldns_rdf2str(ldns_rr_owner(record)));
    auto type = static_cast<uint16_t>(ldns_rr_get_type(record));
    const bool is_rrsig = type == dns::type::kRrsig;
    if (is_rrsig) type = static_cast<uint16_t>(ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(record)));
    SignedSet& set = set_of(owner + " " + TypeText(type));
    ldns_rr_list_push_rr((is_rrsig ? set.signatures : set.records).get(), record);
  }
  for (const auto& [name, set] : sets) {
    const ldns_rr* first = ldns_rr_list_rr(set.records.get(), 0);
    const bool is_nsec = first != nullptr && ldns_rr_get_type(first) == LDNS_RR_TYPE_NSEC;
    *out +=
        section + ": " + name + (is_nsec ? DataText(first) : "") + SetText(set, keys, now) + "\n";
  }
}

}  // namespace

std::string Verified(std::span<const uint8_t> message, const ZoneKeys& keys, WallTime now) {
  ldns_pkt* raw = nullptr;
  if (ldns_wire2pkt(&raw, message.data(), message.size()) != LDNS_STATUS_OK) return "undecodable\n";
  const std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> packet(raw, ldns_pkt_free);
  ldns_rr_list* key_list = ldns_rr_list_new();
  for (const ZoneKey& key : keys.keys) {
    ldns_rr* record = nullptr;
    const std::string text =
        keys.zone.ToText() + " 3600 IN DNSKEY " + dns::RdataToText(dns::type::kDnskey, key.dnskey);
    ldns_rr_new_frm_str(&record, text.c_str(), 0, nullptr, nullptr);
    ldns_rr_list_push_rr(key_list, record);
  }
  std::string out;
  const time_t at = ToUnixMillis(now) / 1000;
  AppendSets("answer", ldns_pkt_answer(raw), key_list, at, &out);
  AppendSets("authority", ldns_pkt_authority(raw), key_list, at, &out);
  AppendSets("additional", ldns_pkt_additional(raw), key_list, at, &out);
  ldns_rr_list_deep_free(key_list);
  return out;
}

}  // namespace nearside::geodns
