#include "net/worker_group.h"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <utility>

namespace nearside::net {

Result<std::unique_ptr<WorkerGroup>> WorkerGroup::Create(size_t workers) {
  std::unique_ptr<WorkerGroup> group(new WorkerGroup);
  for (size_t i = 0; i < std::max<size_t>(workers, 1); ++i) {
    auto loop = EventLoop::Create();
    if (!loop) return unexpected(std::move(loop.error()).In("worker " + std::to_string(i)));
    group->loops_.push_back(std::move(*loop));
  }
  return group;
}

WorkerGroup::~WorkerGroup() { Stop(); }

void WorkerGroup::Start(const std::function<void(size_t)>& setup) {
  for (size_t i = 0; i < loops_.size(); ++i) {
    threads_.emplace_back([this, i, setup] {
      pthread_setname_np(pthread_self(), ("worker-" + std::to_string(i)).c_str());
      if (setup) setup(i);
      loops_[i]->Run();
    });
  }
}

void WorkerGroup::Stop() {
  for (auto& loop : loops_) loop->Stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace nearside::net
