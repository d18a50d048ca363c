#include "tests/net/stream_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace nearside::net {

namespace {

/// As the daemons do: writing to what the other side has closed is an error and no signal.
[[maybe_unused]] const auto kBrokenPipes = std::signal(SIGPIPE, SIG_IGN);

void RunHook(const std::function<void()>& hook) {
  if (!hook) return;
  auto copy = hook;  // the recorder may be destroyed by it
  copy();
}

}  // namespace

std::string TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

void Recorder::OnBytes(std::span<const uint8_t> bytes) {
  ++bytes_calls;
  received += TextOf(bytes);
  most_bytes = std::max(most_bytes, bytes.size());
  if (echo) Send(TextOf(bytes));
  RunHook(then_on_bytes);
}

void Recorder::OnEnd() {
  ++ends;
  RunHook(then_on_end);
}

bool Recorder::Produce(Output& output) {
  ++produces;
  most_unsent = std::max(most_unsent, stream->unsent_bytes());
  size_t part = std::min(output.room(), to_send.size() - sent);
  output.Append({reinterpret_cast<const uint8_t*>(to_send.data()) + sent, part});
  sent += part;
  most_produced = std::max(most_produced, part);
  bool more = sent < to_send.size();
  RunHook(then_on_produce);
  return more;
}

void Recorder::OnDrained() {
  ++drains;
  RunHook(then_on_drained);
}

void Recorder::OnClosed(const Error& why) {
  closed = why;
  RunHook(then_on_closed);
}

void Recorder::Send(std::string bytes) {
  to_send += bytes;
  stream->WantWrite();
}

std::string NameOf(Transport transport) {
  constexpr const char* kNames[] = {"Clear", "ReadingFirst", "Tls"};
  return kNames[static_cast<size_t>(transport)];
}

StreamServer::Options OptionsOf(Transport transport) {
  return {.tls = transport == Transport::kTls,
          .listener = {.reads_first = transport == Transport::kReadingFirst}};
}

StreamServer::StreamServer(Options options) : options_(std::move(options)) {
  options_.listener.address = *SocketAddress::Parse("127.0.0.1:0");
  if (options_.certificates.empty()) {
    options_.certificates = {authority_.Issue({.names = {"www.demo.test"}})};
  }
  thread_.Call([this] {
    std::shared_ptr<TlsServer> tls;
    if (options_.tls) {
      auto made = TlsServer::Create(options_.certificates, options_.alpn, options_.ticket_keys);
      ASSERT_TRUE(made.has_value()) << made.error().ToString();
      tls = *made;
    }
    auto opened = Listener::Open(thread_.loop(), options_.listener, tls, [this](auto stream) {
      if (on_stream) {
        on_stream(std::move(stream));
        return;
      }
      Recorder* recorder = Add(std::move(stream));
      if (on_recorder) on_recorder(recorder);
    });
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    listener_ = std::move(*opened);
    address_ = listener_->address();
  });
}

StreamServer::~StreamServer() {
  thread_.Call([this] {
    connectors_.clear();
    recorders_.clear();
    listener_.reset();
  });
  thread_.Stop();
}

std::unique_ptr<RawPeer> StreamServer::Connect(RawPeer::TlsOptions options, int receive_buffer) {
  auto peer = std::make_unique<RawPeer>(address_, receive_buffer);
  if (options.server_name.empty()) options.server_name = "www.demo.test";
  if (options_.tls) {
    EXPECT_TRUE(peer->StartTls(options)) << peer->error();
  }
  peer->barrier = [this] { thread_.Call([] {}); };
  return peer;
}

Recorder* StreamServer::ConnectStream() {
  Recorder* made = nullptr;
  bool failed = false;
  thread_.Call([&] {
    ConnectOptions options{.address = address_, .server_name = "www.demo.test"};
    if (options_.tls) options.tls = *TlsClient::Create(authority_.file(), {"h2"});
    connectors_.push_back(Connector::Start(thread_.loop(), options, [&](auto stream) {
      failed = !stream.has_value();
      EXPECT_TRUE(stream.has_value()) << stream.error().ToString();
      if (stream.has_value()) made = Add(std::move(*stream));
    }));
  });
  EXPECT_TRUE(thread_.Await([&] { return made != nullptr || failed; }));
  return made;
}

Recorder* StreamServer::Accepted(size_t n) {
  Recorder* found = nullptr;
  EXPECT_TRUE(thread_.Await([&] {
    if (recorders_.size() > n) found = recorders_[n].get();
    return found != nullptr;
  }));
  return found;
}

void StreamServer::Destroy(Recorder* recorder) {
  for (auto& slot : recorders_) {
    if (slot.get() == recorder) slot.reset();
  }
}

Recorder* StreamServer::Add(std::unique_ptr<Stream> stream) {
  recorders_.push_back(std::make_unique<Recorder>(std::move(stream)));
  return recorders_.back().get();
}

}  // namespace nearside::net
