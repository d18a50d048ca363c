// Queries as they come, and queries put together from the input's bytes so that most of them are
// about names that are steered, aliased, signed or delegated.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/wire.h"
#include "geodns/responder.h"
#include "tests/fuzz/served_snapshot.h"

using namespace nearside;
namespace type = dns::type;

namespace {

/// What our OPT record may have that a query's has not: a cookie of ours and the nsid.
constexpr size_t kMostOptGrowth = 4 + dns::kCookieBytes + 4 + geodns::kMostNsidBytes;
constexpr uint16_t kTypes[] = {type::kA,     type::kAaaa, type::kHttps, type::kSvcb, type::kAny,
                               type::kCname, type::kNs,   type::kSoa,   type::kDs,   type::kDnskey,
                               type::kTxt,   type::kMx,   type::kNsec,  type::kRrsig};
constexpr std::string_view kNames[] = {
    "@", "n", "N", "r", "q",   "f", "p",   "t",    "u",    "x.o",      "a.r", "x.m", "i",    "j",
    "k", "l", "a", "c", "x.w", "s", "y.s", "ns.s", "none", "x.none.q", "y.z", "b",   "a.b.b"};
constexpr std::string_view kOrigins[] = {"d.", "e.", "b.d.", "E."};
/// Where clients say that they are: inside and beside every network that anything knows.
constexpr std::array<uint8_t, 6> kPlaces[] = {
    {10, 1, 2, 3},   {133, 3, 7, 20},           {133, 128, 1, 1},      {133, 9, 9, 9},
    {192, 0, 2, 77}, {198, 18, 1, 1},           {0x20, 1, 2, 0, 0, 1}, {0x2a, 2, 0x81, 0, 0, 0},
    {0x20, 2, 10},   {0x20, 1, 0xd, 0xb8, 0, 7}};
constexpr size_t kFirstIpv6Place = 6;

void Check(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "dns_responder_fuzz.cc:%d does not hold\n", line);
  std::abort();
}

/// The input, a byte at a time; 0 when it is used up.
class Pieces {
 public:
  explicit Pieces(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint8_t Next() {
    if (bytes_.empty()) return 0;
    const uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  template <typename List>
  auto& Of(List& list) {
    return list[Next() % std::size(list)];
  }

 private:
  std::span<const uint8_t> bytes_;
};

void Put16(uint16_t value, std::vector<uint8_t>* out) {
  out->push_back(static_cast<uint8_t>(value >> 8));
  out->push_back(static_cast<uint8_t>(value));
}

/// Bits beyond the source are 0 unless the input says otherwise, which is an error.
void PutSubnet(Pieces& pieces, std::vector<uint8_t>* out) {
  const size_t number = pieces.Next() % std::size(kPlaces);
  const bool is_ipv6 = number >= kFirstIpv6Place;
  dns::ClientSubnet subnet{.family = is_ipv6 ? dns::ClientSubnet::kIpv6 : dns::ClientSubnet::kIpv4};
  subnet.source = static_cast<uint8_t>(pieces.Next() % (is_ipv6 ? 129 : 33));
  std::ranges::copy(kPlaces[number], subnet.address.begin());
  for (size_t i = 1; i < 8; ++i) subnet.address[i] ^= pieces.Next();
  const size_t bytes = subnet.address_bytes();
  if (subnet.source % 8 != 0) {
    subnet.address[bytes - 1] &= static_cast<uint8_t>(0xFF00 >> subnet.source % 8);
  }
  if (pieces.Next() == 0xFF && bytes > 0) subnet.address[bytes - 1] ^= 1;
  uint8_t encoded[dns::kMostSubnetOptionBytes];
  out->insert(out->end(), encoded, encoded + dns::EncodeClientSubnet(subnet, encoded));
}

void PutEdns(Pieces& pieces, std::vector<uint8_t>* out) {
  const uint8_t with = pieces.Next();
  std::vector<uint8_t> options;
  if ((with & 1) == 0) PutSubnet(pieces, &options);
  if ((with & 2) != 0) options.insert(options.end(), {0, dns::option::kNsid, 0, 0});
  if ((with & 4) != 0) options.insert(options.end(), {0, dns::option::kTcpKeepalive, 0, 0});
  if ((with & 8) != 0) {
    const uint8_t bytes = (with & 16) != 0 ? 24 : 8;
    options.insert(options.end(), {0, dns::option::kCookie, 0, bytes});
    options.insert(options.end(), bytes, pieces.Next());
  }
  out->push_back(0);
  Put16(type::kOpt, out);
  Put16(static_cast<uint16_t>(pieces.Next() * 8), out);  // payload
  const uint8_t flags = pieces.Next();
  out->insert(out->end(), {0, static_cast<uint8_t>(flags == 0xFF), 0, 0});
  (*out)[out->size() - 2] = static_cast<uint8_t>((flags & 1) << 7 | (flags & 2) << 5);  // DO, CO
  Put16(static_cast<uint16_t>(options.size()), out);
  out->insert(out->end(), options.begin(), options.end());
}

std::vector<uint8_t> QueryOf(Pieces& pieces) {
  std::vector<uint8_t> query = {pieces.Next(), 1, pieces.Next(), 0, 0, 1, 0, 0, 0, 0, 0, 0};
  query[2] &= 1;  // RD
  const dns::Name origin = *dns::Name::FromText(pieces.Of(kOrigins));
  const dns::Name name = *dns::Name::FromText(pieces.Of(kNames), origin);
  const auto wire = name.view().bytes();
  query.insert(query.end(), wire.begin(), wire.end());
  Put16(pieces.Of(kTypes), &query);
  Put16(dns::rr_class::kIn, &query);
  if (pieces.Next() < 0xE0) {
    query[11] = 1;
    PutEdns(pieces, &query);
  }
  return query;
}

/// An answer of ours, walked to its last byte.
struct Walked {
  unsigned records = 0;  ///< but OPT
  bool is_negative = false;
  bool has_proofs = false;       ///< RRSIG or NSEC records
  std::optional<size_t> opt_at;  ///< of its owner
  std::optional<dns::ClientSubnet> subnet;
  uint8_t rcode_above = 0;
};

void WalkOptions(std::span<const uint8_t> options, Walked* walked) {
  while (!options.empty()) {
    Check(options.size() >= 4);
    const size_t bytes = dns::Load16(&options[2]);
    Check(options.size() >= 4 + bytes);
    if (dns::Load16(options.data()) == dns::option::kClientSubnet) {
      std::vector<uint8_t> content(&options[4], &options[4] + bytes);
      Check(content.size() >= 4 && !walked->subnet);
      const uint8_t scope = std::exchange(content[3], 0);  // which a query must not have
      Check(dns::ParseClientSubnet(content, &walked->subnet.emplace()) == dns::Malformed::kNone);
      walked->subnet->scope = scope;
    }
    options = options.subspan(4 + bytes);
  }
}

Walked Walk(std::span<const uint8_t> answer) {
  Walked walked;
  Check(answer.size() >= dns::kHeaderBytes);
  size_t at = dns::kHeaderBytes;
  dns::Name name;
  for (unsigned i = dns::Load16(&answer[4]); i > 0; --i) {
    Check(dns::ReadName(answer, &at, &name) == dns::Malformed::kNone);
    at += 4;
  }
  unsigned records = dns::Load16(&answer[6]) + dns::Load16(&answer[8]) + dns::Load16(&answer[10]);
  for (; records > 0; --records) {
    const size_t begin = at;
    Check(dns::ReadName(answer, &at, &name) == dns::Malformed::kNone);
    Check(at + 10 <= answer.size());
    const uint16_t record_type = dns::Load16(&answer[at]);
    const size_t bytes = dns::Load16(&answer[at + 8]);
    Check(at + 10 + bytes <= answer.size());
    const auto rdata = answer.subspan(at + 10, bytes);
    if (record_type == type::kOpt) {
      Check(!walked.opt_at);
      walked.opt_at = begin;
      walked.rcode_above = answer[at + 4];
      WalkOptions(rdata, &walked);
    } else {
      ++walked.records;
    }
    walked.is_negative |= record_type == type::kSoa && begin > dns::kHeaderBytes + 4;
    walked.has_proofs |= record_type == type::kRrsig || record_type == type::kNsec;
    // Names in the data of others may be compressed.
    for (uint16_t plain :
         {type::kA, type::kAaaa, type::kHttps, type::kSvcb, type::kTxt, type::kDs, type::kSrv}) {
      if (record_type == plain) Check(dns::RdataIsValid(record_type, rdata));
    }
    at += 10 + bytes;
  }
  Check(at == answer.size());
  return walked;
}

size_t MostBytes(const geodns::Arrival& arrival, geodns::Transport transport) {
  if (transport == geodns::Transport::kTcp) return dns::kMaxMessageBytes;
  const auto& edns = arrival.query.edns;
  size_t most = 512;
  if (edns) most = std::clamp<size_t>(edns->payload_bytes, 512, 1232);
  if (arrival.cookie.state == dns::CookieState::kGood) return most;
  const size_t factor = test::ServedSnapshot().protocol.most_amplification;
  return std::min(most, std::max(factor * arrival.bytes, arrival.bytes + kMostOptGrowth));
}

/// What every answer is, whatever it says.
Walked CheckAnswer(std::span<const uint8_t> answer, std::span<const uint8_t> query,
                   const geodns::Arrival& arrival) {
  const Walked walked = Walk(answer);
  Check(answer[0] == query[0] && answer[1] == query[1]);
  Check((answer[2] & 0xF9) == (0x80 | (query[2] & 0x79)));  // QR; opcode and RD as they came
  Check((answer[3] & 0xE0) == 0);                           // neither RA nor Z nor AD
  const auto& question = arrival.query.question;
  Check(dns::Load16(&answer[4]) == (question ? 1 : 0));
  if (question) {
    const auto asked = query.subspan(dns::kHeaderBytes, question->wire_bytes);
    Check(std::ranges::equal(asked, answer.subspan(dns::kHeaderBytes, asked.size())));
  }
  const auto& edns = arrival.query.edns;
  Check(walked.opt_at.has_value() == edns.has_value());
  if (walked.subnet) {
    dns::ClientSubnet as_told = *walked.subnet;
    as_told.scope = 0;
    Check(edns->subnet == as_told);
    Check(walked.subnet->scope <= walked.subnet->source);
  }
  const uint16_t asked = question ? question->type : uint16_t{0};
  const bool wants_proofs = (edns && edns->dnssec_ok) || asked == type::kRrsig ||
                            asked == type::kNsec || asked == type::kAny;
  Check(!walked.has_proofs || wants_proofs);
  if ((answer[2] & 2) != 0) Check(dns::Load16(&answer[6]) == 0);  // TC
  return walked;
}

/// RFC 7871 §7.2.1: whoever is in the scope gets the same. Negative answers have a scope of 0, so
/// that nobody keeps one for each network (§7.4).
void CheckScope(geodns::Arrival arrival, const geodns::Asker& asker, const Walked& walked,
                std::span<const uint8_t> answer, uint8_t noise) {
  const bool has_failed = (answer[2] & 2) != 0 || (answer[3] & 15) == 2;  // TC, SERVFAIL
  if (!walked.subnet || walked.is_negative || has_failed) return;
  dns::ClientSubnet& subnet = *arrival.query.edns->subnet;
  if (subnet.source == 0) return;  // by where the query came from
  for (unsigned bit = walked.subnet->scope; bit < subnet.source; ++bit) {
    noise = static_cast<uint8_t>(noise * 73 + 41);
    if ((noise & 0x10) != 0) subnet.address[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
  }
  static std::array<uint8_t, geodns::kTcpAnswerBytes> out;
  geodns::Tally tally;
  if (asker.signer != nullptr) {
    asker.signer->Begin(FromUnixMillis(1'800'000'000'000), static_cast<size_t>(asker.transport));
  }
  const size_t bytes = geodns::Answer(test::ServedSnapshot(), arrival, asker,
                                      geodns::Treatment::kAnswer, out, &tally);
  Check(bytes == answer.size());
  Check(std::ranges::equal(std::span(out).first(*walked.opt_at), answer.first(*walked.opt_at)));
  Check(Walk(std::span(out).first(bytes)).subnet->scope == walked.subnet->scope);
}

void Ask(std::span<const uint8_t> query, geodns::Asker asker, uint8_t noise) {
  static std::array<uint8_t, geodns::kTcpAnswerBytes> out;
  const geodns::Snapshot& snapshot = test::ServedSnapshot();
  if (asker.signer != nullptr) {
    asker.signer->Begin(FromUnixMillis(1'800'000'000'000), static_cast<size_t>(asker.transport));
  }
  const geodns::Arrival arrival = geodns::Receive(snapshot.protocol, query, asker);
  geodns::Tally tally;
  const size_t bytes = geodns::Respond(snapshot, query, asker, out, &tally);
  Check(tally.answered == (bytes > 0));
  Check(tally.answered == arrival.is_answerable());
  if (bytes == 0) return;
  const auto answer = std::span(out).first(bytes);
  Check(bytes <= MostBytes(arrival, asker.transport));
  const Walked walked = CheckAnswer(answer, query, arrival);
  Check((walked.rcode_above << 4 | (answer[3] & 15)) == static_cast<int>(tally.rcode));
  CheckScope(arrival, asker, walked, answer, noise);
  // The short answer of the rate limit.
  static std::array<uint8_t, geodns::kUdpAnswerBytes> slipped;
  const size_t short_bytes =
      geodns::Answer(snapshot, arrival, asker, geodns::Treatment::kSlip, slipped, &tally);
  const auto short_answer = std::span(slipped).first(short_bytes);
  Check(short_bytes <= query.size() + kMostOptGrowth);
  Check(CheckAnswer(short_answer, query, arrival).records == 0);
}

void AskInEveryWay(std::span<const uint8_t> query, uint8_t noise) {
  static geodns::Signer signer({.cache_size = 64_KiB, .made_up_a_second = UINT32_MAX});
  static geodns::Signer spent({.cache_size = 64_KiB, .made_up_a_second = 0});
  geodns::Asker asker{.now = 1'800'000'000};
  const auto& place = kPlaces[noise % std::size(kPlaces)];
  asker.address.is_ipv6 = noise % std::size(kPlaces) >= kFirstIpv6Place;
  std::ranges::copy(place, asker.address.bytes.begin());
  for (auto transport : {geodns::Transport::kUdp, geodns::Transport::kTcp}) {
    asker.transport = transport;
    for (geodns::Signer* with : {&signer, &spent}) {
      asker.signer = with;
      Ask(query, asker, noise);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span input(data, size);
  Pieces pieces(input);
  const uint8_t noise = pieces.Next();
  AskInEveryWay(input, noise);
  AskInEveryWay(QueryOf(pieces), noise);
  return 0;
}
