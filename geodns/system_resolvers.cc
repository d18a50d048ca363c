#include "geodns/system_resolvers.h"

#include "runtime/file.h"

namespace nearside::geodns {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr ByteSize kMostBytes = 1_MiB;

/// Cuts the next word off `*line`; "" at its end.
std::string_view TakeWord(std::string_view* line) {
  const size_t begin = std::min(line->find_first_not_of(" \t\r"), line->size());
  line->remove_prefix(begin);
  const size_t end = std::min(line->find_first_of(" \t\r"), line->size());
  const std::string_view word = line->substr(0, end);
  line->remove_prefix(end);
  return word;
}

}  // namespace

std::vector<net::SocketAddress> ResolversFromText(std::string_view text) {
  std::vector<net::SocketAddress> resolvers;
  while (!text.empty() && resolvers.size() < kMaxResolvers) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (TakeWord(&line) != "nameserver") continue;
    auto address = net::SocketAddress::FromLiteral(TakeWord(&line), kDnsPort);
    if (address) resolvers.push_back(*address);
  }
  return resolvers;
}

Result<std::vector<net::SocketAddress>> ReadSystemResolvers(const std::string& path) {
  auto text = ReadFile(path, kMostBytes);
  if (!text) {
    return Fail(Fault::kOperator, "no_resolvers",
                text.error().message + "; ALIAS records need resolvers: name them");
  }
  auto resolvers = ResolversFromText(*text);
  if (resolvers.empty()) resolvers.push_back(*net::SocketAddress::Parse("127.0.0.1:53"));
  return resolvers;
}

}  // namespace nearside::geodns
