#include "storage/lmdb_job_queue.h"

#include <filesystem>

#include "tests/storage/job_queue_contract.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage::test {
namespace {

class LmdbJobEngine final : public JobEngine {
 public:
  std::unique_ptr<JobQueue> Open(const JobQueueOptions& options) override {
    auto queue = JobQueue::Open("lmdb:" + dir_.In("queue"), options);
    EXPECT_TRUE(queue) << queue.error().ToString();
    return queue ? std::move(*queue) : nullptr;
  }

 private:
  nearside::test::TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Lmdb, JobQueueContract, testing::Values([] {
                           return std::unique_ptr<JobEngine>(new LmdbJobEngine);
                         }));

class LmdbJobQueueTest : public testing::Test {
 protected:
  Result<std::unique_ptr<JobQueue>> Open() {
    return JobQueue::Open("lmdb:" + dir_.In("queue"), JobQueueOptions());
  }
  nearside::test::TempDir dir_;
};

TEST_F(LmdbJobQueueTest, AFolderThatCannotBeMadeIsTheOperators) {
  dir_.Write("queue", "a file");
  const auto queue = Open();
  ASSERT_FALSE(queue);
  EXPECT_EQ(queue.error().fault, Fault::kOperator);
  EXPECT_EQ(queue.error().reason, "cannot_open");
  EXPECT_NE(queue.error().message.find(dir_.In("queue")), std::string::npos);
}

TEST_F(LmdbJobQueueTest, ADamagedFileIsPutAsideAndTheQueueBeginsEmpty) {
  dir_.Write("queue/jobs.lmdb", std::string(64 << 10, 'x'));
  auto queue = Open();
  ASSERT_TRUE(queue) << queue.error().ToString();
  const NewJob jobs[] = {{"compress", "a", "", {}}};
  EXPECT_EQ((*queue)->Put(jobs).value(), 1u);
  EXPECT_EQ(dir_.Read("queue/jobs.lmdb.damaged").size(), size_t{64 << 10});
}

TEST_F(LmdbJobQueueTest, SpaceOfJobsThatAreDoneIsUsedAgain) {
  auto queue = Open().value();
  const auto fill = [&] {
    std::vector<NewJob> jobs;
    for (int i = 0; i < 200; ++i) {
      jobs.push_back({"compress", std::to_string(i), std::string(kJobPayloadBytes, 'p'), {}});
    }
    ASSERT_EQ(queue->Put(jobs).value(), jobs.size());
    while (const auto leased = queue->Lease(seconds(60)).value()) {
      ASSERT_TRUE(queue->Done(leased->lease));
    }
  };
  fill();
  const auto bytes = std::filesystem::file_size(dir_.In("queue/jobs.lmdb"));
  for (int i = 0; i < 2; ++i) fill();
  EXPECT_LE(std::filesystem::file_size(dir_.In("queue/jobs.lmdb")), bytes * 3 / 2);
}

}  // namespace
}  // namespace nearside::storage::test
