#include "dns/writer.h"

#include <gtest/gtest.h>

#include <random>

#include "dns/rdata.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"

namespace nearside::dns {
namespace {

/// Answers one question with records given as text.
class Answer {
 public:
  explicit Answer(std::string_view question, size_t limit = 512)
      : query_bytes_(WireQuery(question).Bytes()), buffer_(limit), writer_(buffer_) {
    Query query;
    EXPECT_EQ(ParseQuery(query_bytes_, &query), Malformed::kNone);
    question_added_ = writer_.AddQuestion(*query.question);
  }

  bool Add(Section section, std::string_view owner, uint16_t type, std::vector<Word> words) {
    auto rdata = RdataFromWords(type, words, {});
    EXPECT_TRUE(rdata) << owner;
    auto name = Name::FromText(owner);
    return writer_.Add(section, *name, {type, 60, *rdata});
  }
  std::span<const uint8_t> Finish(Rcode rcode = Rcode::kNoError) {
    size_t size = writer_.Finish(0x1234, flag::kResponse | flag::kAuthoritative, rcode);
    return std::span(buffer_).first(size);
  }

  std::vector<uint8_t> query_bytes_;
  std::vector<uint8_t> buffer_;
  MessageWriter writer_;
  bool question_added_ = false;
};

constexpr auto kAnswer = Section::kAnswer;

TEST(MessageWriterTest, NamesAreCompressedAgainstAllEarlierOnes) {
  Answer answer("www.demo.test.");
  EXPECT_TRUE(answer.Add(kAnswer, "WWW.demo.test.", type::kCname, {{"edge.demo.test."}}));
  EXPECT_TRUE(answer.Add(kAnswer, "edge.demo.test.", type::kA, {{"192.0.2.1"}}));
  EXPECT_TRUE(answer.Add(Section::kAuthority, "demo.test.", type::kNs, {{"ns.edge.demo.test."}}));
  EXPECT_TRUE(answer.Add(Section::kAdditional, "mx.test.", type::kMx, {{"5"}, {"a.mx.test."}}));
  auto bytes = answer.Finish();
  EXPECT_EQ(Decoded(bytes),
            "NOERROR qr aa\n"
            "? www.demo.test. A\n"
            "answer: www.demo.test. 60 CNAME edge.demo.test.\n"
            "answer: edge.demo.test. 60 A 192.0.2.1\n"
            "authority: demo.test. 60 NS ns.edge.demo.test.\n"
            "additional: mx.test. 60 MX 5 a.mx.test.\n");
  // header 12, question 19, then: pointer+10+edge+pointer, pointer+10+4, pointer+10+ns+pointer,
  // mx+pointer+10 + 2+a+pointer
  EXPECT_EQ(bytes.size(), 12U + 19 + (2 + 10 + 7) + (2 + 10 + 4) + (2 + 10 + 5) + (5 + 10 + 2 + 4));
}

TEST(MessageWriterTest, OnlyNamesOfRfc1035TypesAreCompressed) {
  Answer answer("demo.test.");
  EXPECT_TRUE(answer.Add(kAnswer, "demo.test.", type::kSrv, {{"1"}, {"2"}, {"3"}, {"demo.test."}}));
  EXPECT_TRUE(answer.Add(kAnswer, "demo.test.", type::kSoa,
                         {{"demo.test."}, {"demo.test."}, {"1"}, {"2"}, {"3"}, {"4"}, {"5"}}));
  auto bytes = answer.Finish();
  EXPECT_EQ(bytes.size(), 12U + 15 + (2 + 10 + 6 + 11) + (2 + 10 + 2 + 2 + 20));
  EXPECT_EQ(Decoded(bytes),
            "NOERROR qr aa\n? demo.test. A\n"
            "answer: demo.test. 60 SRV 1 2 3 demo.test.\n"
            "answer: demo.test. 60 SOA demo.test. demo.test. 1 2 3 4 5\n");
}

TEST(MessageWriterTest, WhatDoesNotFitLeavesTheMessageAsItWas) {
  auto add_all = [](Answer* answer) {
    answer->Add(kAnswer, "www.demo.test.", type::kCname, {{"edge.other.test."}});
    answer->Add(kAnswer, "edge.other.test.", type::kMx, {{"1"}, {"mail.third.test."}});
    answer->Add(kAnswer, "third.test.", type::kTxt, {{"0123456789", true}});
  };
  Answer whole("www.demo.test.");
  add_all(&whole);
  size_t whole_bytes = whole.Finish().size();
  for (size_t limit = 31; limit <= whole_bytes; ++limit) {
    Answer cut("www.demo.test.", limit);
    ASSERT_TRUE(cut.question_added_);
    add_all(&cut);
    auto bytes = cut.Finish();
    EXPECT_LE(bytes.size(), limit);
    EXPECT_EQ(Decoded(bytes).find("undecodable"), std::string::npos) << limit;
    EXPECT_EQ(bytes.size() == whole_bytes, limit == whole_bytes);
  }
  EXPECT_FALSE(Answer("www.demo.test.", 30).question_added_);
}

TEST(MessageWriterTest, RollbackForgetsNamesToo) {
  Answer answer("www.demo.test.");
  auto before = answer.writer_.Mark();
  EXPECT_TRUE(answer.Add(kAnswer, "a.other.test.", type::kNs, {{"b.other.test."}}));
  answer.writer_.Rollback(before);
  EXPECT_TRUE(answer.Add(kAnswer, "www.demo.test.", type::kNs, {{"b.other.test."}}));
  EXPECT_EQ(Decoded(answer.Finish()),
            "NOERROR qr aa\n? www.demo.test. A\nanswer: www.demo.test. 60 NS b.other.test.\n");
}

TEST(MessageWriterTest, EdnsUsesWhatWasReserved) {
  EdnsAnswer edns{
      .rcode = Rcode::kBadVers,
      .dnssec_ok = true,
      .subnet = ClientSubnet{
          .family = ClientSubnet::kIpv4, .source = 20, .scope = 12, .address = {133, 11, 16}}};
  EXPECT_EQ(edns.wire_bytes(), 11U + 8 + 3);
  Answer answer("www.demo.test.", 31 + edns.wire_bytes());
  answer.writer_.Reserve(edns.wire_bytes());
  EXPECT_FALSE(answer.Add(kAnswer, "www.demo.test.", type::kA, {{"192.0.2.1"}}));
  EXPECT_TRUE(answer.writer_.AddEdns(edns));
  EXPECT_EQ(Decoded(answer.Finish(edns.rcode)),
            "BADVERS qr aa\n? www.demo.test. A\nedns: 1232 do subnet=133.11.16.0/20/12\n");
}

TEST(MessageWriterTest, RenderedRecordsPointToTheQuestion) {
  Answer answer("www.demo.test.");
  auto records =
      FromHex("c00c 0001 0001 0000003c 0004 c0000201 c00c 0001 0001 0000003c 0004 c0000202");
  EXPECT_TRUE(answer.writer_.AddRendered(kAnswer, records, 2));
  EXPECT_EQ(Decoded(answer.Finish()),
            "NOERROR qr aa\n? www.demo.test. A\n"
            "answer: www.demo.test. 60 A 192.0.2.1\nanswer: www.demo.test. 60 A 192.0.2.2\n");
}

TEST(MessageWriterTest, NamesBeyondTheReachOfPointersAreWrittenInFull) {
  Answer answer("www.demo.test.", kMaxMessageBytes);
  std::vector<Word> filler(60, Word{std::string(255, 'x'), true});
  ASSERT_TRUE(answer.Add(kAnswer, "www.demo.test.", type::kTxt, filler));
  ASSERT_TRUE(answer.Add(kAnswer, "www.demo.test.", type::kTxt, filler));  // now beyond 0x3FFF
  ASSERT_TRUE(answer.Add(kAnswer, "a.far.test.", type::kA, {{"192.0.2.1"}}));
  size_t before = answer.writer_.size();
  ASSERT_TRUE(answer.Add(kAnswer, "a.far.test.", type::kA, {{"192.0.2.1"}}));
  EXPECT_GT(answer.writer_.size() - before, 2U + 14) << "nothing out there to point to";
  EXPECT_EQ(Decoded(answer.Finish()).find("undecodable"), std::string::npos);
}

TEST(MessageWriterTest, MoreNamesThanAreRememberedStillGiveAWholeMessage) {
  Answer answer("www.demo.test.", kMaxMessageBytes);
  std::string want = "NOERROR qr aa\n? www.demo.test. A\n";
  for (int i = 0; i < 200; ++i) {
    std::string owner = "n" + std::to_string(i) + ".x" + std::to_string(i % 50) + ".test.";
    ASSERT_TRUE(answer.Add(kAnswer, owner, type::kCname, {{"t." + owner}}));
    want += "answer: " + owner + " 60 CNAME t." + owner + "\n";
  }
  EXPECT_EQ(Decoded(answer.Finish()), want);
}

}  // namespace
}  // namespace nearside::dns
