#include "storage/job_queue.h"

#include <gtest/gtest.h>

namespace nearside::storage {
namespace {

TEST(JobQueueTest, EachWaitIsTwiceTheOneBeforeUpToTheLongest) {
  JobQueueOptions options;
  options.backoff = seconds(2);
  options.backoff_most = seconds(10);
  const std::pair<int, int> rows[] = {{0, 2}, {1, 2}, {2, 4}, {3, 8}, {4, 10}, {1'000'000, 10}};
  for (const auto& [attempts, wait] : rows) {
    EXPECT_EQ(BackoffAfter(attempts, options), seconds(wait)) << attempts;
  }
  options.backoff = seconds(20);
  EXPECT_EQ(BackoffAfter(1, options), seconds(10));
}

TEST(JobQueueTest, OtherUrlsAreRefused) {
  for (const char* url : {"", "lmdb:", "amqp://localhost", "queue"}) {
    const auto queue = JobQueue::Open(url, JobQueueOptions());
    ASSERT_FALSE(queue) << url;
    EXPECT_EQ(queue.error().fault, Fault::kOperator);
    EXPECT_EQ(queue.error().reason, "bad_url");
    EXPECT_NE(queue.error().message.find("lmdb:"), std::string::npos);
  }
}

}  // namespace
}  // namespace nearside::storage
