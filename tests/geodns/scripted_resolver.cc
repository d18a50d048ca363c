#include "tests/geodns/scripted_resolver.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/writer.h"
#include "geodns/address.h"
#include "net/stream.h"
#include "tests/dns/words.h"

namespace nearside::geodns {

/// Answers each message of a connection.
class ScriptedResolver::Connection final : public net::StreamHandler {
 public:
  Connection(ScriptedResolver& owner, std::unique_ptr<net::Stream> stream)
      : owner_(owner), stream_(std::move(stream)) {
    stream_->SetHandler(this);
  }
  void OnBytes(std::span<const uint8_t> bytes) override {
    unread_.insert(unread_.end(), bytes.begin(), bytes.end());
    if (unread_.size() < 2) return;
    const auto length = static_cast<size_t>(unread_[0] << 8 | unread_[1]);
    if (unread_.size() - 2 < length) return;
    ++owner_.tcp_queries;
    std::vector<uint8_t> answer = owner_.AnswerTo(std::span(unread_).subspan(2, length), true);
    const size_t size = answer.size();
    if (owner_.hangs_up) answer.resize(size / 2);
    unsent_ = {static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
    unsent_.insert(unsent_.end(), answer.begin(), answer.end());
    unread_.clear();
    stream_->WantWrite();
  }
  bool Produce(net::Output& output) override {
    output.Append(unsent_);
    unsent_.clear();
    return false;
  }
  void OnDrained() override {
    if (owner_.hangs_up) stream_->EndSending();
  }
  void OnEnd() override {}
  void OnClosed(const Error&) override {}

 private:
  ScriptedResolver& owner_;
  std::unique_ptr<net::Stream> stream_;
  std::vector<uint8_t> unread_, unsent_;
};

ScriptedResolver::ScriptedResolver(net::EventLoop& loop) : loop_(loop) {
  // The UDP port that the system chooses may be taken for TCP.
  for (int attempt = 0; attempt < 20 && listener_ == nullptr; ++attempt) {
    socket_ = net::Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const auto any = *net::SocketAddress::Parse("127.0.0.1:0");
    EXPECT_EQ(bind(socket_.get(), any.get(), any.length()), 0);
    const auto adopt = [this](std::unique_ptr<net::Stream> stream) {
      connections_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
    };
    auto listener =
        net::Listener::Open(loop_, {.address = address(), .reuse_port = false}, nullptr, adopt);
    if (listener) listener_ = std::move(*listener);
  }
  EXPECT_NE(listener_, nullptr);
  EXPECT_TRUE(loop_.Watch(socket_.get(), EPOLLIN, this));
}

ScriptedResolver::~ScriptedResolver() { loop_.Unwatch(socket_.get()); }

net::SocketAddress ScriptedResolver::address() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  return {reinterpret_cast<sockaddr*>(&storage), length};
}

void ScriptedResolver::OnReady(uint32_t) {
  uint8_t bytes[2048];
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const ssize_t size =
      recvfrom(socket_.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
  if (size <= 0) return;
  ++queries;
  if (silent) return;
  const auto query = std::span<const uint8_t>(bytes).first(static_cast<size_t>(size));
  for (int id_offset = forges ? 1 : 0; id_offset >= 0; --id_offset) {
    const std::vector<uint8_t> answer = AnswerTo(query, false, id_offset);
    sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
           length);
  }
}

std::vector<uint8_t> ScriptedResolver::AnswerTo(std::span<const uint8_t> bytes, bool over_tcp,
                                                int id_offset) {
  dns::Query query;
  if (dns::ParseQuery(bytes, &query) != dns::Malformed::kNone || !query.question) return {};
  const bool is_ipv4 = query.question->type == dns::type::kA;
  std::vector<std::string> addresses = is_ipv4 ? ipv4 : ipv6;
  if (id_offset != 0) addresses = {is_ipv4 ? "192.0.2.66" : "::66"};
  dns::EdnsAnswer edns{.rcode = rcode};
  if (query.edns && query.edns->subnet) {
    edns.subnet = query.edns->subnet;
    const uint8_t* raw = edns.subnet->address.data();
    const bool is_ipv6 = edns.subnet->family == dns::ClientSubnet::kIpv6;
    const Network network{is_ipv6 ? IpAddress::V6(raw) : IpAddress::V4(raw), edns.subnet->source};
    ++subnets[network.ToText()];
    auto own = tailored.find(network.ToText());
    if (own != tailored.end()) edns.subnet->scope = own->second.scope;
    if (own != tailored.end() && is_ipv4) addresses = {own->second.ipv4};
  }
  std::vector<uint8_t> out(dns::kMaxMessageBytes);
  dns::MessageWriter writer(out);
  writer.AddQuestion(*query.question);
  const bool is_cut = truncates && !over_tcp;
  for (const std::string& text : addresses) {
    if (is_cut) break;
    auto rdata = *dns::RdataFromWords(query.question->type, dns::Words(text), {});
    writer.Add(dns::Section::kAnswer, query.question->name, {query.question->type, ttl, rdata});
  }
  writer.AddEdns(edns);
  const auto flags =
      static_cast<uint16_t>(dns::flag::kResponse | (is_cut ? dns::flag::kTruncated : 0));
  out.resize(writer.Finish(static_cast<uint16_t>(query.header.id + id_offset), flags, rcode));
  return out;
}

}  // namespace nearside::geodns
