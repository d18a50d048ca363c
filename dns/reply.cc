#include "dns/reply.h"

#include <algorithm>
#include <array>

#include "dns/message.h"
#include "dns/wire.h"

namespace nearside::dns {
namespace {

constexpr size_t kRecordFixedBytes = 10;    // type, class, TTL, length
constexpr size_t kSoaFixedBytes = 20;       // behind its two names
constexpr size_t kOptionFixedBytes = 4;     // code and length
constexpr uint32_t kMostTtl = 0x7FFFFFFFU;  // RFC 2181 §8

struct Record {
  Name owner;
  uint16_t type = 0;
  uint16_t rr_class = 0;
  uint32_t ttl = 0;
  size_t rdata_at = 0;
  size_t rdata_bytes = 0;
};

tl::unexpected<Error> BadReply(std::string_view what) {
  return Fail(Fault::kOrigin, "bad_reply", "a malformed answer: " + std::string(what));
}

Status ReadRecord(std::span<const uint8_t> message, size_t* at, Record* record) {
  if (auto malformed = ReadName(message, at, &record->owner); malformed != Malformed::kNone) {
    return BadReply(MalformedName(malformed));
  }
  if (message.size() - *at < kRecordFixedBytes) return BadReply("record_cut_off");
  const uint8_t* fixed = message.data() + *at;
  record->type = Load16(fixed);
  record->rr_class = Load16(fixed + 2);
  record->ttl = Load32(fixed + 4);
  // RFC 2181 §8: a TTL with the first bit set is 0.
  if (record->ttl > kMostTtl) record->ttl = 0;
  record->rdata_bytes = Load16(fixed + 8);
  record->rdata_at = *at + kRecordFixedBytes;
  if (message.size() - record->rdata_at < record->rdata_bytes) return BadReply("rdata_cut_off");
  *at = record->rdata_at + record->rdata_bytes;
  return {};
}

/// RFC 2308 §5: the lesser of the record's TTL and its last field.
std::optional<uint32_t> NegativeTtl(std::span<const uint8_t> message, const Record& record) {
  size_t at = record.rdata_at;
  const auto data = message.first(record.rdata_at + record.rdata_bytes);
  for (int name = 0; name < 2; ++name) {
    if (SkipName(data, &at) != Malformed::kNone) return {};
  }
  if (data.size() - at != kSoaFixedBytes) return {};
  return std::min(record.ttl, Load32(data.data() + at + kSoaFixedBytes - 4));
}

/// Follows the CNAMEs of `answers` from `name` and takes the addresses at the end.
Status TakeAddresses(std::span<const uint8_t> message, const std::vector<Record>& answers,
                     NameView name, uint16_t type, AddressReply* reply) {
  const size_t address_bytes = type == type::kA ? 4 : 16;
  Name at(name);
  for (size_t hop = 0; hop <= kMaxReplyHops; ++hop) {
    const Record* cname = nullptr;
    for (const Record& record : answers) {
      if (record.rr_class != rr_class::kIn || !record.owner.view().Equals(at)) continue;
      if (record.type == type::kCname) cname = &record;
      if (record.type != type) continue;
      if (record.rdata_bytes != address_bytes) return BadReply("an address of another length");
      reply->ttl = std::min(reply->ttl, record.ttl);
      if (reply->addresses.size() == kMaxReplyAddresses * address_bytes) continue;
      const auto bytes = message.subspan(record.rdata_at, address_bytes);
      reply->addresses.insert(reply->addresses.end(), bytes.begin(), bytes.end());
    }
    if (!reply->addresses.empty() || cname == nullptr) return {};
    reply->ttl = std::min(reply->ttl, cname->ttl);
    size_t target_at = cname->rdata_at;
    if (auto malformed = ReadName(message, &target_at, &at); malformed != Malformed::kNone) {
      return BadReply(MalformedName(malformed));
    }
  }
  return BadReply("a chain of more than 16 CNAMEs");
}

/// What only a resolver that could not find out says.
Status CheckRcode(Rcode rcode) {
  switch (rcode) {
    case Rcode::kNoError:
    case Rcode::kNxDomain:
      return {};
    case Rcode::kServFail:
      return Fail(Fault::kOrigin, "servfail", "the resolver answers SERVFAIL");
    case Rcode::kRefused:
      return Fail(Fault::kOrigin, "refused", "the resolver refuses to answer");
    default:
      return Fail(Fault::kOrigin, "bad_rcode",
                  "the resolver answers " + std::string(RcodeName(rcode)));
  }
}

/// Reads the scope out of an OPT record. RFC 7871 §7.3: an answer about another subnet than the one
/// that was asked for is not to be used.
Status TakeScope(std::span<const uint8_t> options, const ClientSubnet& subnet,
                 AddressReply* reply) {
  std::array<uint8_t, kMostSubnetOptionBytes> asked;
  const size_t asked_bytes = EncodeClientSubnet(subnet, asked.data());
  constexpr size_t kScopeAt = kOptionFixedBytes + 3;
  while (!options.empty()) {
    if (options.size() < kOptionFixedBytes) return BadReply("option_cut_off");
    const size_t bytes = kOptionFixedBytes + Load16(options.data() + 2);
    if (options.size() < bytes) return BadReply("option_cut_off");
    if (Load16(options.data()) == option::kClientSubnet) {
      if (bytes != asked_bytes) return BadReply("another client subnet");
      asked[kScopeAt] = reply->scope = options[kScopeAt];
      if (!std::equal(asked.begin(), asked.begin() + static_cast<ptrdiff_t>(asked_bytes),
                      options.begin())) {
        return BadReply("another client subnet");
      }
      return {};
    }
    options = options.subspan(bytes);
  }
  return {};
}

}  // namespace

std::vector<uint8_t> EncodeQuery(uint16_t id, NameView name, uint16_t type,
                                 const std::optional<ClientSubnet>& subnet) {
  constexpr size_t kQuestionAndOptBytes = 4 + 11 + kMostSubnetOptionBytes;
  std::vector<uint8_t> message;
  message.reserve(kHeaderBytes + name.size() + kQuestionAndOptBytes);
  const auto put16 = [&](uint16_t value) {
    message.push_back(static_cast<uint8_t>(value >> 8));
    message.push_back(static_cast<uint8_t>(value));
  };
  // One question, no answers, no authorities, one additional record.
  for (uint16_t word :
       {id, flag::kRecursionDesired, uint16_t{1}, uint16_t{0}, uint16_t{0}, uint16_t{1}}) {
    put16(word);
  }
  message.insert(message.end(), name.data(), name.data() + name.size());
  put16(type);
  put16(rr_class::kIn);
  message.push_back(0);  // the root owns OPT
  put16(type::kOpt);
  put16(kUdpPayloadBytes);
  for (int zero = 0; zero < 2; ++zero) put16(0);  // no flags
  std::array<uint8_t, kMostSubnetOptionBytes> options;
  const size_t options_bytes = subnet ? EncodeClientSubnet(*subnet, options.data()) : 0;
  put16(static_cast<uint16_t>(options_bytes));
  message.insert(message.end(), options.begin(),
                 options.begin() + static_cast<ptrdiff_t>(options_bytes));
  return message;
}

bool IsReplyTo(std::span<const uint8_t> message, uint16_t id, NameView name, uint16_t type) {
  if (message.size() < kHeaderBytes || Load16(message.data()) != id) return false;
  if ((message[2] & 0xF8) != 0x80 || Load16(message.data() + 4) != 1) return false;  // QR, QUERY
  size_t at = kHeaderBytes;
  Name asked;
  if (ReadName(message, &at, &asked) != Malformed::kNone || message.size() - at < 4) return false;
  return asked.view().Equals(name) && Load16(message.data() + at) == type &&
         Load16(message.data() + at + 2) == rr_class::kIn;
}

Result<AddressReply> ParseAddressReply(std::span<const uint8_t> message, NameView name,
                                       uint16_t type, const std::optional<ClientSubnet>& subnet) {
  const uint16_t flags = Load16(message.data() + 2);
  const auto rcode = static_cast<Rcode>(flags & 0xF);
  if (auto usable = CheckRcode(rcode); !usable) return tl::unexpected(std::move(usable.error()));
  if ((flags & flag::kTruncated) != 0) {
    return Fail(Fault::kOrigin, "truncated", "the answer does not fit into one datagram");
  }
  size_t at = kHeaderBytes;
  if (SkipName(message, &at) != Malformed::kNone) return BadReply("question");
  at += 4;
  if (at > message.size()) return BadReply("question_cut_off");
  const size_t answer_count = Load16(message.data() + 6);
  const size_t authority_count = Load16(message.data() + 8);
  // Without a subnet nothing that stands there is of interest.
  const size_t additional_count = subnet ? Load16(message.data() + 10) : 0;
  AddressReply reply;
  reply.exists = rcode != Rcode::kNxDomain;
  reply.ttl = kMostTtl;
  std::vector<Record> answers;
  std::optional<uint32_t> negative_ttl;
  for (size_t i = 0; i < answer_count + authority_count + additional_count; ++i) {
    Record record;
    if (auto status = ReadRecord(message, &at, &record); !status) {
      return tl::unexpected(std::move(status.error()));
    }
    if (i < answer_count) {
      answers.push_back(record);
    } else if (i < answer_count + authority_count) {
      if (record.type == type::kSoa && !negative_ttl) negative_ttl = NegativeTtl(message, record);
    } else if (record.type == type::kOpt) {
      const auto options = message.subspan(record.rdata_at, record.rdata_bytes);
      if (auto status = TakeScope(options, *subnet, &reply); !status) {
        return tl::unexpected(std::move(status.error()));
      }
    }
  }
  if (auto status = TakeAddresses(message, answers, name, type, &reply); !status) {
    return tl::unexpected(std::move(status.error()));
  }
  if (reply.addresses.empty()) {
    reply.ttl = std::min(reply.ttl, negative_ttl.value_or(0));
    reply.has_ttl = negative_ttl.has_value();
  }
  return reply;
}

}  // namespace nearside::dns
