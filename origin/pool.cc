#include "origin/pool.h"

#include <algorithm>
#include <utility>

namespace nearside::origin {
namespace {

/// Of threads, and of the queue's places, for one client.
size_t ShareOf(size_t all) { return std::max<size_t>(1, all / 2); }

}  // namespace

Pool::Pool(size_t threads, size_t queue_limit, size_t due_limit)
    : thread_share_(ShareOf(threads)), queue_limit_(queue_limit), due_limit_(due_limit) {
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Pool::~Pool() { Stop(); }

bool Pool::Submit(std::function<void()> task, std::string_view client) {
  return SubmitUpTo(queue_limit_, std::move(task), client);
}

bool Pool::SubmitDue(std::function<void()> task) {
  return SubmitUpTo(queue_limit_ + due_limit_, std::move(task), {});
}

bool Pool::SubmitUpTo(size_t limit, std::function<void()> task, std::string_view name) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || queued_ >= limit) return false;
    const auto [found, is_new] = clients_.try_emplace(std::string(name));
    Client& client = found->second;
    if (is_new) client.name = name;
    if (!name.empty() && client.waiting.size() >= ShareOf(queue_limit_)) return false;
    client.waiting.push_back(std::move(task));
    ++queued_;
    GiveTurn(&client);
  }
  changed_.notify_one();
  return true;
}

/// Behind the others, if its next task may run.
void Pool::GiveTurn(Client* client) {
  const bool has_room = client->name.empty() || client->running < thread_share_;
  if (client->has_turn || client->waiting.empty() || !has_room) return;
  client->has_turn = true;
  turns_.push_back(client);
}

void Pool::Stop() {
  std::unordered_map<std::string, Client> unrun;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    turns_.clear();
    queued_ = 0;
    for (auto& [name, client] : clients_) unrun[name].waiting.swap(client.waiting);
  }
  changed_.notify_all();
  unrun.clear();  // what has not begun lets go of its clients now, not when what runs is done
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t Pool::queued() const {
  std::lock_guard lock(mutex_);
  return queued_;
}

void Pool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !turns_.empty(); });
    if (stopping_) return;
    Client* client = turns_.front();
    turns_.pop_front();
    client->has_turn = false;
    std::function<void()> task = std::move(client->waiting.front());
    client->waiting.pop_front();
    --queued_;
    ++client->running;
    GiveTurn(client);
    const bool more = !turns_.empty();
    busy_.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    if (more) changed_.notify_one();
    task();
    task = nullptr;  // its captures die here, before the thread counts as idle
    busy_.fetch_sub(1, std::memory_order_relaxed);
    lock.lock();
    --client->running;
    GiveTurn(client);  // this thread takes it up, or another that it wakes below
    if (client->running == 0 && client->waiting.empty()) {
      clients_.erase(clients_.find(client->name));
    }
  }
}

}  // namespace nearside::origin
