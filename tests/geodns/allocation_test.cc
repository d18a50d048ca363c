// The path of a query takes no memory from the heap.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "geodns/responder.h"
#include "geodns/world.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCounts = false;  // the sanitizers' own operator new stays
#else
constexpr bool kCounts = true;
#endif

namespace {
thread_local size_t allocations = 0;
}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace nearside::geodns {
namespace {

TEST(AllocationTest, AnsweringTakesNoMemory) {
  if (!kCounts) GTEST_SKIP() << "a sanitizer owns operator new";
  test::TempDir dir;
  std::string zone =
      "$TTL 300\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 127.0.0.1\nalias CNAME www\n*.w TXT x\n"
      "sub NS ns.sub\nns.sub A 127.0.0.2\nmx MX 5 ns1\n"
      "www HTTPS 1 . mandatory=ipv6hint ipv4hint=0.0.0.0 ipv6hint=::\nlike ALIAS ns1\n"
      "likewww ALIAS www\naway ALIAS www.example.net.\n";
  std::string settings =
      "[geodns]\nlisten = [\"127.0.0.1:0\"]\nresolvers = [\"127.0.0.1:9\"]\n[geo]\ndatabases = "
      "[\"" +
      dir.Write("g", MmdbWriter(6).AddFlat("10.0.0.0/8", "DE").Bytes()) +
      "\"]\n[[pop]]\nname = \"a\"\naddresses = [\"127.0.1.1\"]\nlocation = [1, 2]\n"
      "[[pop]]\nname = \"b\"\naddresses = [\"127.0.2.1\"]\nlocation = [1, 3]\n"
      "[[zone]]\nname = \"demo.test\"\nfile = \"" +
      dir.Write("z", zone) +
      "\"\n"
      "[[zone.steer]]\nnames = [\"www\"]\npops = [\"a\", \"b\"]\nanswers = 2\n"
      "[[zone.steer]]\nnames = [\"ab\"]\npolicy = \"weighted\"\npops = [\"a\", \"b\"]\n";
  auto world = World::Load(dir.Write("c", settings));
  ASSERT_TRUE(world) << world.error().message;
  auto snapshot = MakeSnapshot(*world, {});
  std::vector<uint8_t> out(kUdpAnswerBytes);
  IpAddress client = *IpAddress::Parse("10.0.0.1");
  size_t answered = 0;
  for (std::string_view name :
       {"www.demo.test.", "ab.demo.test.", "alias.demo.test.", "x.w.demo.test.",
        "no.such.name.demo.test.", "x.sub.demo.test.", "mx.demo.test.", "demo.test.",
        "www.example.org.", "like.demo.test.", "likewww.demo.test.", "away.demo.test."}) {
    for (uint16_t qtype : {1, 28, 15, 16, 6, 2, 65, 255, 252}) {
      for (bool subnet : {false, true}) {
        dns::WireQuery query(name, qtype);
        if (subnet) query.Subnet("10.1.0.0/16");
        auto bytes = query.Bytes();
        Tally tally;
        size_t before = allocations;
        answered += Respond(*snapshot, bytes, client, Transport::kUdp, out, &tally) > 0;
        EXPECT_EQ(allocations, before) << name << ' ' << qtype;
      }
    }
  }
  EXPECT_EQ(answered, 12U * 9 * 2);
}

}  // namespace
}  // namespace nearside::geodns
