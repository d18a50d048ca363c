#include "geodns/shedding.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace nearside::geodns {
namespace {

/// "0:1" for a crowd that stays whole, "0:0.5 1:1" for one whose upper half was refused once.
std::string PortionsText(const std::vector<Portion>& portions) {
  std::string text;
  for (const Portion& portion : portions) {
    char one[32];
    std::snprintf(one, sizeof one, "%zu:%.3g", portion.refusals, portion.until);
    text += (text.empty() ? "" : " ") + std::string(one);
  }
  return text;
}

std::vector<std::string> ShedTexts(const std::vector<Crowd>& crowds,
                                   const std::vector<double>& kept) {
  std::vector<std::string> texts;
  for (const auto& portions : Shed(crowds, kept)) texts.push_back(PortionsText(portions));
  return texts;
}

using Texts = std::vector<std::string>;

TEST(SheddingTest, TheFarthestGoAndTheMarginIsDivided) {
  const std::vector<Crowd> crowds = {{{0, 1}, {0.9F, 0.1F}, 50},
                                     {{0, 1}, {0.5F, 0.2F}, 30},
                                     {{0, 1}, {0.2F, 0.1F}, 20},
                                     {{1, 0}, {0.9F, 0.1F}, 70}};
  EXPECT_EQ(ShedTexts(crowds, {1, 1}), (Texts{"0:1", "0:1", "0:1", "0:1"}));
  EXPECT_EQ(ShedTexts(crowds, {0.9, 1}), (Texts{"0:1", "0:1", "0:0.5 1:1", "0:1"}));
  EXPECT_EQ(ShedTexts(crowds, {0.8, 1}), (Texts{"0:1", "0:1", "1:1", "0:1"}));
  EXPECT_EQ(ShedTexts(crowds, {0.65, 1}), (Texts{"0:1", "0:0.5 1:1", "1:1", "0:1"}));
  EXPECT_EQ(ShedTexts(crowds, {0.05, 1}), (Texts{"0:0.1 1:1", "1:1", "1:1", "0:1"}));
}

TEST(SheddingTest, WhosePlaceNobodyKnowsIsDividedByHash) {
  const std::vector<Crowd> crowds = {{{0, 1}, {}, 1e9}, {{0, 1}, {0.5F, 0.1F}, 10}};
  EXPECT_EQ(ShedTexts(crowds, {0.7, 1}), (Texts{"0:0.7 1:1", "0:0.7 1:1"}));
}

TEST(SheddingTest, WhatIsShedGoesOnWhereTheNextShedsToo) {
  // Of the 40 that 0 gives away 1 keeps the nearer 20, having 80 of 100 that asked: 80 % of them.
  const std::vector<Crowd> crowds = {{{0, 1, 2}, {0.9F, 0.5F, 0.1F}, 60},
                                     {{0, 1, 2}, {0.2F, 0.5F, 0.1F}, 20},
                                     {{0, 1, 2}, {0.1F, 0.2F, 0.1F}, 20},
                                     {{1, 0, 2}, {0.9F, 0.1F, 0.1F}, 60}};
  EXPECT_EQ(ShedTexts(crowds, {0.6, 0.8, 1}), (Texts{"0:1", "1:1", "2:1", "0:1"}));
}

TEST(SheddingTest, WhenNobodyHasRoomAllStay) {
  const std::vector<Crowd> crowds = {
      {{0, 1}, {0.9F, 0.1F}, 50}, {{1, 0}, {0.9F, 0.1F}, 70}, {{0}, {0.5F}, 10}};
  const Texts all_stay = {"0:1", "0:1", "0:1"};
  EXPECT_EQ(ShedTexts(crowds, {0.5, 0.5}), all_stay);
  EXPECT_EQ(ShedTexts({{{0}, {0.5F}, 10}}, {0.1}), Texts{"0:1"});
  EXPECT_EQ(ShedTexts({{{}, {}, 10}}, {0.1}), Texts{"0:1"}) << "nothing to choose";
}

/// As a share shrinks clients leave and none comes back.
TEST(SheddingTest, ASmallerShareMovesMoreAndNobodyBack) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  std::vector<Crowd> crowds;
  for (int i = 0; i < 60; ++i) {
    auto nearness = [&] { return static_cast<float>(dice() % 1000) / 1000; };
    crowds.push_back({{0, 1}, {nearness(), nearness()}, static_cast<double>(dice() % 50)});
    if (i % 10 == 0) crowds.back().nearness.clear();
  }
  std::vector<double> stayed(crowds.size(), 1);
  for (double share = 1; share > 0.05; share -= 0.05) {
    auto portions = Shed(crowds, std::vector<double>{share, 1});
    double total = 0;
    double kept = 0;
    for (size_t i = 0; i < crowds.size(); ++i) {
      double stay = portions[i].front().refusals == 0 ? portions[i].front().until : 0;
      EXPECT_LE(stay, stayed[i] + 1e-9);
      stayed[i] = stay;
      if (crowds[i].nearness.empty()) continue;
      total += crowds[i].weight;
      kept += stay * crowds[i].weight;
    }
    EXPECT_NEAR(kept / total, share, 1e-6);
  }
}

/// Whatever the shares: every client has one answer, and a refusal only where a point sheds.
void ExpectDividedWholly(uint32_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  for (int world = 0; world < 300; ++world) {
    const size_t points = 1 + dice() % 6;
    std::vector<double> kept(points);
    for (double& share : kept) share = dice() % 2 == 0 ? 1 : 0.05 + (dice() % 90) / 100.0;
    std::vector<Crowd> crowds(dice() % 40);
    for (Crowd& crowd : crowds) {
      for (uint8_t i = 0; i < points; ++i) crowd.wanted.push_back(i);
      std::shuffle(crowd.wanted.begin(), crowd.wanted.end(), dice);
      crowd.wanted.resize(dice() % (points + 1));
      if (dice() % 5 != 0) {
        for (size_t i = 0; i < crowd.wanted.size(); ++i) {
          crowd.nearness.push_back(static_cast<float>(dice() % 7));
        }
      }
      crowd.weight = dice() % 3;
    }
    auto portions = Shed(crowds, kept);
    ASSERT_EQ(portions.size(), crowds.size());
    for (size_t i = 0; i < crowds.size(); ++i) {
      double at = 0;
      for (const Portion& portion : portions[i]) {
        EXPECT_GE(portion.until, at);
        at = portion.until;
        EXPECT_LE(portion.refusals, crowds[i].wanted.empty() ? 0 : crowds[i].wanted.size() - 1);
        for (size_t r = 0; r < portion.refusals; ++r) EXPECT_LT(kept[crowds[i].wanted[r]], 1);
      }
      EXPECT_EQ(at, 1);
    }
  }
}

TEST(SheddingTest, RandomWorldsAreDividedWholly) {
  ExpectDividedWholly(2449782598);  // in one world of it a split was rounded beyond its piece
  ExpectDividedWholly(std::random_device()());
}

}  // namespace
}  // namespace nearside::geodns
