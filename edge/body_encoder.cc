#include "edge/body_encoder.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace nearside::edge {

std::unique_ptr<BodyEncoder> BodyEncoder::Begin(Node& node, metrics::Cells& cells, Executor& loop,
                                                const Order& order, Taker taker) {
  // Its place is taken before it is looked at, so that two workers cannot both take the last.
  auto body =
      std::unique_ptr<BodyEncoder>(new BodyEncoder(node, cells, loop, order, std::move(taker)));
  if (node.encoders.load() > order.most) return nullptr;
  auto encoder = http::ContentEncoder::Make(order.coding, order.body_bytes);
  if (!encoder) return nullptr;
  body->work_->encoder = std::move(*encoder);
  return body;
}

BodyEncoder::BodyEncoder(Node& node, metrics::Cells& cells, Executor& loop, const Order& order,
                         Taker taker)
    : node_(node),
      cells_(cells),
      loop_(loop),
      coding_(order.coding),
      on_loop_(order.body_bytes.value_or(UINT64_MAX) <= kMostOnLoop),
      threads_(order.threads > 0 ? static_cast<size_t>(order.threads)
                                 : std::max(1U, std::thread::hardware_concurrency())),
      taker_(std::move(taker)) {
  work_->owner = this;
  ++node_.encoders;
}

BodyEncoder::~BodyEncoder() {
  const std::lock_guard lock(work_->mutex);
  work_->owner = nullptr;
  --node_.encoders;
}

void BodyEncoder::Count(size_t in_bytes, size_t out_bytes) {
  const auto index = static_cast<size_t>(coding_);
  cells_.Add(node_.metrics.encoder_in_bytes[index], in_bytes);
  cells_.Add(node_.metrics.encoder_out_bytes[index], out_bytes);
}

void BodyEncoder::Encode(std::span<const uint8_t> bytes, Step step) {
  if (on_loop_) return EncodeHere(bytes, step);
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  waiting_step_ = std::max(waiting_step_, step);
  if (!working_) StartWork();
}

void BodyEncoder::EncodeHere(std::span<const uint8_t> bytes, Step step) {
  std::vector<uint8_t> out;
  const Status status = work_->encoder->Encode(bytes, step, [&out](std::span<const uint8_t> piece) {
    out.insert(out.end(), piece.begin(), piece.end());
  });
  Count(bytes.size(), out.size());
  const Taker taker = taker_;  // it may destroy this
  taker(status, out, step);
}

/// All that waits, at once: the further it is behind, the fewer the hand-overs.
void BodyEncoder::StartWork() {
  working_ = true;
  work_->in.swap(waiting_);
  waiting_.clear();
  work_->step = std::exchange(waiting_step_, Step::kMore);
  const auto job = [work = work_, &loop = loop_] {
    {
      const std::lock_guard lock(work->mutex);
      if (work->owner == nullptr) return;  // nobody waits for it any more
    }
    work->out.clear();
    work->status =
        work->encoder->Encode(work->in, work->step, [&work](std::span<const uint8_t> piece) {
          work->out.insert(work->out.end(), piece.begin(), piece.end());
        });
    // With the lock held the owner lives, and so does its loop.
    const std::lock_guard lock(work->mutex);
    if (work->owner == nullptr) return;
    loop.Post([work] {
      // Only this thread destroys the owner.
      if (work->owner != nullptr) work->owner->OnWorked();
    });
  };
  node_.encoder_threads.Run(job, threads_);
}

void BodyEncoder::OnWorked() {
  working_ = false;
  Count(work_->in.size(), work_->out.size());
  const std::vector<uint8_t> out = std::move(work_->out);
  const Step step = work_->step;
  const Status status = work_->status;
  work_->in.clear();
  // The next piece is worked on while this one is handed out.
  if (status && (!waiting_.empty() || waiting_step_ != Step::kMore)) StartWork();
  const Taker taker = taker_;  // it may destroy this
  taker(status, out, step);
}

}  // namespace nearside::edge
