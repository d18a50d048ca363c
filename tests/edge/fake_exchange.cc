#include "tests/edge/fake_exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/edge/patterns.h"

namespace nearside::edge {

FakeExchange::FakeExchange(http::RequestHead request, net::EventLoop* loop)
    : request_(std::move(request)), stream_(loop) {}

FakeExchange::~FakeExchange() {
  if (handler_) Finish(false);
}

void FakeExchange::SetHandler(std::unique_ptr<http::ExchangeHandler> handler) {
  handler_ = std::move(handler);
}

void FakeExchange::Respond(int with, std::span<const http::FieldLine> prepared,
                           std::span<const http::FieldLine> extra,
                           std::unique_ptr<http::BodySource> source) {
  status = with;
  ++responses;
  for (const auto& lines : {prepared, extra}) {
    for (const http::FieldLine& line : lines) fields.Add(line.name, line.value);
  }
  source_ = std::move(source);
  state = source_ ? "more" : "end";
  if (pull_at_once) Pull();
}

void FakeExchange::SwitchProtocol(std::span<const http::FieldLine> lines,
                                  std::unique_ptr<http::BodySource> source) {
  switched = true;
  Respond(200, {}, lines, std::move(source));
}

void FakeExchange::Resume() {
  ++resumes;
  if (pull_at_once) Pull();
}

std::string FakeExchange::Pull(uint64_t most) {
  // The session sends no body with these.
  if (request_.method == "HEAD" || http::StatusHasNoContent(status)) return state = "end";
  while (source_) {
    std::span<const uint8_t> piece;
    switch (source_->Peek(&piece)) {
      case http::BodySource::State::kWait:
        return state = "wait";
      case http::BodySource::State::kEnd:
        if (const http::Fields* behind = source_->Trailers()) trailers = behind->ToText();
        return state = "end";
      case http::BodySource::State::kFailed:
        return state = "failed";
      case http::BodySource::State::kReady:
        break;
    }
    EXPECT_FALSE(piece.empty());
    if (most == 0) return state = "more";
    const size_t size = std::min<uint64_t>(most, piece.size());
    body += TextOf(piece.first(size));
    most -= size;
    source_->Consume(size);
  }
  return state;
}

void FakeExchange::Send(std::string_view bytes) {
  if (handler_) handler_->OnBody(AsBytes(bytes));
}

void FakeExchange::EndBody(const http::Fields& behind) {
  if (handler_) handler_->OnBodyEnd(behind);
}

void FakeExchange::Finish(bool complete) {
  if (handler_) {
    handler_->OnFinished(
        {.complete = complete, .body_bytes = body.size(), .reason = complete ? "" : "client_gone"});
  }
  source_.reset();
  handler_.reset();
}

}  // namespace nearside::edge
