#include "tests/http/session/http2_peer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace nearside::http {

namespace {

std::vector<nghttp2_nv> ToNvs(const std::vector<FieldLine>& lines) {
  std::vector<nghttp2_nv> nvs;
  for (const FieldLine& line : lines) {
    nvs.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(line.name.data())),
                   reinterpret_cast<uint8_t*>(const_cast<char*>(line.value.data())),
                   line.name.size(), line.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return nvs;
}

std::string BigEndian(uint32_t value, size_t bytes) {
  std::string text;
  for (size_t i = bytes; i > 0; --i) text += static_cast<char>(value >> (8 * (i - 1)) & 0xff);
  return text;
}

uint32_t FromBigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

}  // namespace

std::string FrameText(uint8_t type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  return BigEndian(static_cast<uint32_t>(payload.size()), 3) + BigEndian(type, 1) +
         BigEndian(flags, 1) + BigEndian(stream_id, 4) + std::string(payload);
}

std::string PrefaceText() {
  return std::string(kHttp2ClientPreface) + FrameText(NGHTTP2_SETTINGS, 0, 0, "");
}

std::optional<uint32_t> GoawayIn(std::string_view bytes) {
  while (bytes.size() >= 9) {
    const size_t size = FromBigEndian(bytes.substr(0, 3));
    if (bytes.size() < 9 + size) break;
    if (bytes[3] == NGHTTP2_GOAWAY) return FromBigEndian(bytes.substr(13, 4));
    bytes.remove_prefix(9 + size);
  }
  return std::nullopt;
}

/// nghttp2's callbacks, which may look into the peer.
struct PeerCallbacks {
  static Http2Peer& Of(void* user) { return *static_cast<Http2Peer*>(user); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    StreamResult& result = Of(user).results_[frame->hd.stream_id];
    const std::string n(reinterpret_cast<const char*>(name), name_size);
    const std::string v(reinterpret_cast<const char*>(value), value_size);
    if (n == ":status") {
      result.status = std::stoi(v);
      if (result.status < 200) result.interims += v + " ";
    } else if (frame->headers.cat == NGHTTP2_HCAT_HEADERS && result.status >= 200 &&
               !result.body.empty()) {
      result.trailers += n + ": " + v + "\n";
    } else if (result.status < 200) {
      result.interims += n + ": " + v + "\n";
    } else if (n != "date") {
      result.fields += n + ": " + v + "\n";
    }
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t stream_id, const uint8_t* bytes,
                    size_t size, void* user) {
    Of(user).results_[stream_id].body.append(reinterpret_cast<const char*>(bytes), size);
    if (Of(user).options_.give_back) nghttp2_session_consume(session, stream_id, size);
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream_id, uint32_t error_code, void* user) {
    StreamResult& result = Of(user).results_[stream_id];
    result.closed = true;
    result.error_code = error_code;
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Peer& peer = Of(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      peer.goaways_.emplace_back(frame->goaway.last_stream_id, frame->goaway.error_code);
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
      ++peer.pongs_;
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
      peer.results_[frame->hd.stream_id].reset = true;
    } else if (frame->hd.type == NGHTTP2_SETTINGS) {
      for (size_t i = 0; i < frame->settings.niv; ++i) {
        peer.settings_[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
      }
    }
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t stream_id, uint8_t* into, size_t most,
                          uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* body = static_cast<Http2Peer::Body*>(source->ptr);
    const size_t size = std::min(most, body->bytes.size());
    std::memcpy(into, body->bytes.data(), size);
    body->bytes.erase(0, size);
    if (body->bytes.empty() && body->end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!body->trailers.empty()) {
        std::vector<FieldLine> lines;
        for (const auto& [name, value] : body->trailers) lines.push_back({name, value});
        const std::vector<nghttp2_nv> nvs = ToNvs(lines);
        nghttp2_submit_trailer(session, stream_id, nvs.data(), nvs.size());
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      }
    } else if (size == 0) {
      body->deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(size);
  }
};

Http2Peer::Http2Peer(std::unique_ptr<net::RawPeer> peer, Options options)
    : peer_(std::move(peer)), options_(options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, PeerCallbacks::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, PeerCallbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, PeerCallbacks::OnClose);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, PeerCallbacks::OnFrame);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_http_messaging(option, 1);  // so that wrong requests can be sent
  nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window},
                                             {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
}

Http2Peer::~Http2Peer() { nghttp2_session_del(session_); }

int32_t Http2Peer::AskRaw(const std::vector<FieldLine>& lines, bool end) {
  const std::vector<nghttp2_nv> nvs = ToNvs(lines);
  const int32_t stream =
      nghttp2_submit_headers(session_, end ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE, -1,
                             nullptr, nvs.data(), nvs.size(), nullptr);
  Flush();
  return stream;
}

int32_t Http2Peer::Ask(std::string_view method, std::string_view path,
                       const std::vector<FieldLine>& lines, std::string_view body, bool more) {
  std::vector<FieldLine> all = {
      {":method", method}, {":scheme", "http"}, {":authority", "a.test"}, {":path", path}};
  all.insert(all.end(), lines.begin(), lines.end());
  const std::vector<nghttp2_nv> nvs = ToNvs(all);
  if (body.empty() && !more) return AskRaw(all);
  auto pending = std::make_unique<Body>();
  pending->bytes = body;
  pending->end = !more;
  nghttp2_data_provider provider = {.source = {.ptr = pending.get()},
                                    .read_callback = PeerCallbacks::ReadBody};
  const int32_t stream =
      nghttp2_submit_request(session_, nullptr, nvs.data(), nvs.size(), &provider, nullptr);
  bodies_[stream] = std::move(pending);
  Flush();
  return stream;
}

void Http2Peer::SendBody(int32_t stream, std::string_view body, bool end,
                         const std::vector<FieldLine>& trailers) {
  Body& pending = *bodies_.at(stream);
  pending.bytes += body;
  pending.end = end;
  for (const FieldLine& line : trailers) pending.trailers.emplace_back(line.name, line.value);
  if (std::exchange(pending.deferred, false)) nghttp2_session_resume_data(session_, stream);
  Flush();
}

void Http2Peer::Reset(int32_t stream, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error_code);
  Flush();
}

void Http2Peer::GiveBack(int32_t stream, int32_t bytes) {
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream, bytes);
  GiveBackConnection(bytes);
}

void Http2Peer::GiveBackConnection(int32_t bytes) {
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, 0, bytes);
  Flush();
}

void Http2Peer::Ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  Flush();
}

void Http2Peer::Flush() {
  const uint8_t* bytes = nullptr;
  for (ssize_t size = nghttp2_session_mem_send(session_, &bytes); size > 0;
       size = nghttp2_session_mem_send(session_, &bytes)) {
    peer_->Send({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  }
}

bool Http2Peer::ReadSome() {
  Flush();
  uint8_t buffer[16 << 10];
  ssize_t size = 0;
  if (peer_->ssl() != nullptr) {
    const std::string frame = peer_->Receive(9);
    if (frame.size() < 9) return false;
    const std::string whole =
        frame + peer_->Receive(FromBigEndian(std::string_view(frame).substr(0, 3)));
    return nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(whole.data()),
                                    whole.size()) >= 0;
  }
  size = recv(peer_->fd(), buffer, sizeof buffer, 0);
  if (size <= 0) return false;
  return nghttp2_session_mem_recv(session_, buffer, static_cast<size_t>(size)) >= 0;
}

bool Http2Peer::Await(const std::function<bool()>& condition) {
  // What is sent may be what is waited for: the end of a stream whose answer is there.
  for (Flush(); !condition(); Flush()) {
    if (!ReadSome()) return condition();
  }
  return true;
}

const StreamResult& Http2Peer::AwaitEnd(int32_t stream) {
  EXPECT_TRUE(Await([&] { return results_[stream].closed; })) << "stream " << stream;
  return results_[stream];
}

void Http2Peer::AwaitClose() {
  while (ReadSome()) {
  }
}

std::optional<uint32_t> Http2Peer::server_setting(nghttp2_settings_id id) const {
  const auto found = settings_.find(id);
  if (found == settings_.end()) return std::nullopt;
  return found->second;
}

}  // namespace nearside::http
