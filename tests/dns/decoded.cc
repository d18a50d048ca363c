#include "tests/dns/decoded.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <memory>

namespace nearside::dns {
namespace {

std::string Take(char* text) {
  std::string taken = text == nullptr ? "?" : text;
  std::free(text);
  while (!taken.empty() && taken.back() == '\n') taken.pop_back();
  std::replace(taken.begin(), taken.end(), '\t', ' ');
  if (size_t at = taken.find(" IN "); at != std::string::npos) taken.erase(at, 3);
  return taken;
}

void AppendSection(const char* title, const ldns_rr_list* records, std::string* out) {
  for (size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
    *out += title + Take(ldns_rr2str(ldns_rr_list_rr(records, i))) + "\n";
  }
}

std::string SubnetText(const uint8_t* content, size_t size) {
  if (size < 4) return "short";
  uint8_t address[16] = {};
  std::copy_n(content + 4, std::min<size_t>(size - 4, 16), address);
  char text[INET6_ADDRSTRLEN] = "none";
  if (content[1] != 0) inet_ntop(content[1] == 1 ? AF_INET : AF_INET6, address, text, sizeof text);
  return std::string(text) + "/" + std::to_string(content[2]) + "/" + std::to_string(content[3]);
}

std::string HexText(const uint8_t* content, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += "0123456789abcdef"[content[i] >> 4];
    text += "0123456789abcdef"[content[i] & 15];
  }
  return text;
}

void AppendEdns(const ldns_pkt* packet, std::string* out) {
  *out += "edns: " + std::to_string(ldns_pkt_edns_udp_size(packet));
  if (ldns_pkt_edns_do(packet)) *out += " do";
  if (const ldns_rdf* data = ldns_pkt_edns_data(packet)) {
    const uint8_t* p = ldns_rdf_data(data);
    const uint8_t* end = p + ldns_rdf_size(data);
    while (end - p >= 4) {
      size_t size = static_cast<size_t>(p[2] << 8 | p[3]);
      *out += p[1] == 8 ? " subnet=" + SubnetText(p + 4, size)
                        : " option" + std::to_string(p[1]) + "=" + HexText(p + 4, size);
      p += 4 + size;
    }
  }
  *out += "\n";
}

std::string RcodeText(const ldns_pkt* packet) {
  unsigned rcode = static_cast<unsigned>(ldns_pkt_get_rcode(packet));
  if (ldns_pkt_edns(packet))
    rcode |= static_cast<unsigned>(ldns_pkt_edns_extended_rcode(packet)) << 4;
  if (rcode == 16) return "BADVERS";
  if (rcode == 23) return "BADCOOKIE";
  return Take(ldns_pkt_rcode2str(static_cast<ldns_pkt_rcode>(rcode)));
}

}  // namespace

std::string Decoded(std::span<const uint8_t> message) {
  ldns_pkt* raw = nullptr;
  ldns_status status = ldns_wire2pkt(&raw, message.data(), message.size());
  if (status != LDNS_STATUS_OK)
    return std::string("undecodable: ") + ldns_get_errorstr_by_id(status);
  std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> packet(raw, ldns_pkt_free);
  std::string out = RcodeText(raw);
  if (ldns_pkt_qr(raw)) out += " qr";
  if (ldns_pkt_aa(raw)) out += " aa";
  if (ldns_pkt_tc(raw)) out += " tc";
  if (ldns_pkt_rd(raw)) out += " rd";
  if (ldns_pkt_ra(raw)) out += " ra";
  if (ldns_pkt_cd(raw)) out += " cd";
  out += "\n";
  AppendSection("? ", ldns_pkt_question(raw), &out);
  AppendSection("answer: ", ldns_pkt_answer(raw), &out);
  AppendSection("authority: ", ldns_pkt_authority(raw), &out);
  AppendSection("additional: ", ldns_pkt_additional(raw), &out);
  if (ldns_pkt_edns(raw)) AppendEdns(raw, &out);
  return out;
}

}  // namespace nearside::dns
