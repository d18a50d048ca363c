#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "dns/message.h"
#include "dns/wire.h"
#include "geodns/responder.h"
#include "geodns/zone_keys.h"

using namespace nearside;

namespace {

constexpr std::string_view kZone = R"($TTL 300
@ SOA ns1 h 7 1h 1h 1w 60
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.53
a A 192.0.2.1
a AAAA 2001:db8::1
b CNAME a
c CNAME c
*.w TXT "wild"
*.v CNAME a.w
s NS ns.s
ns.s A 192.0.2.2
x.y.z SRV 1 2 3 a
)";

std::shared_ptr<const geodns::Zone> MakeZone(std::string_view name, bool is_signed) {
  dns::Name origin = *dns::Name::FromText(name);
  auto records = *geodns::ParseZoneFile(kZone, "z", origin);
  auto keys = std::make_shared<geodns::ZoneKeys>();
  keys->zone = origin;
  keys->keys.push_back(
      geodns::MakeZoneKey(origin, SigningKey::Generate(SigningAlgorithm::kEd25519)));
  if (is_signed && !geodns::PrepareToSign(*keys, "z", &records)) std::abort();
  auto zone = geodns::Zone::Build(origin, "z", std::move(records), {});
  if (is_signed) zone->SignWith(keys);
  return std::make_shared<geodns::Zone>(std::move(*zone));
}

/// d. is not signed, e. is.
const geodns::Snapshot& Served() {
  static const geodns::Snapshot kSnapshot = [] {
    geodns::Snapshot snapshot;
    snapshot.zones = geodns::ZoneIndex({MakeZone("d.", false), MakeZone("e.", true)});
    return snapshot;
  }();
  return kSnapshot;
}

/// An answer of ours can be walked to its last byte.
void CheckAnswer(std::span<const uint8_t> answer, std::span<const uint8_t> query) {
  if (answer.size() < dns::kHeaderBytes) std::abort();
  if (answer[0] != query[0] || answer[1] != query[1] || (answer[2] & 0x80) == 0) std::abort();
  size_t at = dns::kHeaderBytes;
  dns::Name name;
  for (unsigned i = dns::Load16(&answer[4]); i > 0; --i) {
    if (dns::ReadName(answer, &at, &name) != dns::Malformed::kNone) std::abort();
    at += 4;
  }
  unsigned records = dns::Load16(&answer[6]) + dns::Load16(&answer[8]) + dns::Load16(&answer[10]);
  for (; records > 0; --records) {
    if (dns::ReadName(answer, &at, &name) != dns::Malformed::kNone) std::abort();
    if (at + 10 > answer.size()) std::abort();
    at += 10 + dns::Load16(&answer[at + 8]);
  }
  if (at != answer.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> query(data, size);
  static std::array<uint8_t, geodns::kTcpAnswerBytes> out;
  static geodns::Signer signer({.cache_size = 64_KiB});
  for (auto transport : {geodns::Transport::kUdp, geodns::Transport::kTcp}) {
    geodns::Tally tally;
    signer.Begin(FromUnixMillis(1'800'000'000'000), static_cast<size_t>(transport));
    geodns::Asker asker{.address = geodns::IpAddress(), .transport = transport};
    asker.signer = &signer;
    size_t bytes = geodns::Respond(Served(), query, asker, out, &tally);
    if (tally.answered != (bytes > 0)) std::abort();
    if (transport == geodns::Transport::kUdp && bytes > geodns::kUdpAnswerBytes) std::abort();
    if (bytes > 0) CheckAnswer(std::span(out).first(bytes), query);
  }
  return 0;
}
