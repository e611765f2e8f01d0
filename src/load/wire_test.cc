#include "load/wire.h"

#include <gmock/gmock.h>

namespace courier::load {
namespace {

using ::testing::ElementsAre;

Preparation preparation() {
  Preparation p{.file = "storm.yaml", .text = "courier_load: 1\n", .set = {{"drivers", "7"}}};
  p.part = {.index = 2, .count = 3, .run = 0xFFFFFFFF, .clock_offset_us = -5, .overdue_ms = 30'000};
  return p;
}

WorkerReport report() {
  WorkerReport report;
  report.stage = 3;
  Tally tally;
  tally[Latency::delivery_e2e].record(1'000'000, 5);
  tally[Latency::delivery_e2e].record(70'000'000'000);
  tally[Count::publish_sent] = 6;
  tally.add_reason("connect: refused", 2);
  report.tallies = {{.stage = 2, .tally = tally}, {.stage = 3, .tally = {}}};
  report.connected = {1, 0, 300};
  report.ready = {1, 0, 299};
  report.awaited = 4;
  report.awaited_by_absent = 3;
  report.replies_awaited = 1;
  report.unsettled = 5;
  report.missing_by_stage = {0, 1};
  report.overdue_by_stage = {2};
  report.cpu_us = 12'345;
  report.steps_done = true;
  report.shares = {{.now = 2, .departures = 5, .emptied = 1, .expired = 3}};
  return report;
}

const MessageId kId{.run = 1, .publisher = 2, .stream = 0xFFFFFFFF, .sequence = 4, .due_us = -5};

Letters letters() {
  Letters out;
  out.promises.push_back({.client = 9, .id = kId, .qos = mqtt::Qos::exactly_once, .sent_us = 77});
  out.arrivals.push_back({.share = 1, .id = kId, .at_us = 78});
  out.replies.push_back({.id = kId, .at_us = 79});
  return out;
}

TEST(Wire, APreparationComesBack) {
  const auto back = read_preparation(to_bytes(preparation()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->file, "storm.yaml");
  EXPECT_EQ(back->text, "courier_load: 1\n");
  EXPECT_THAT(back->set, ElementsAre(std::pair<std::string, std::string>("drivers", "7")));
  EXPECT_EQ(back->part.index, 2u);
  EXPECT_EQ(back->part.count, 3u);
  EXPECT_EQ(back->part.run, 0xFFFFFFFFu);
  EXPECT_EQ(back->part.clock_offset_us, -5);
  EXPECT_EQ(back->part.overdue_ms, 30'000);
}

TEST(Wire, APartThatCannotBeIsRefused) {
  Preparation p = preparation();
  p.part.index = 3;
  EXPECT_FALSE(read_preparation(to_bytes(p)));
  p.part.index = p.part.count = 0;
  EXPECT_FALSE(read_preparation(to_bytes(p)));
}

TEST(Wire, AReportComesBack) {
  const WorkerReport sent = report();
  const auto back = read_report(to_bytes(sent));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->stage, 3u);
  ASSERT_EQ(back->tallies.size(), 2u);
  EXPECT_EQ(back->tallies[0].stage, 2u);
  EXPECT_EQ(back->tallies[0].tally.counts, sent.tallies[0].tally.counts);
  EXPECT_EQ(back->tallies[0].tally.latencies, sent.tallies[0].tally.latencies);
  EXPECT_EQ(back->tallies[0].tally.reasons, sent.tallies[0].tally.reasons);
  EXPECT_EQ(back->connected, sent.connected);
  EXPECT_EQ(back->ready, sent.ready);
  EXPECT_EQ(back->awaited, 4u);
  EXPECT_EQ(back->awaited_by_absent, 3u);
  EXPECT_EQ(back->replies_awaited, 1u);
  EXPECT_EQ(back->unsettled, 5u);
  EXPECT_THAT(back->missing_by_stage, ElementsAre(0u, 1u));
  EXPECT_THAT(back->overdue_by_stage, ElementsAre(2u));
  EXPECT_EQ(back->cpu_us, 12'345);
  EXPECT_TRUE(back->steps_done);
  EXPECT_EQ(back->shares, sent.shares);
}

TEST(Wire, LettersComeBack) {
  const auto back = read_mail(to_bytes(7, letters()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->to, 7u);
  ASSERT_EQ(back->letters.promises.size(), 1u);
  EXPECT_EQ(back->letters.promises[0].id, kId);
  EXPECT_EQ(back->letters.promises[0].client, 9u);
  EXPECT_EQ(back->letters.promises[0].qos, mqtt::Qos::exactly_once);
  EXPECT_EQ(back->letters.promises[0].sent_us, 77);
  ASSERT_EQ(back->letters.arrivals.size(), 1u);
  EXPECT_EQ(back->letters.arrivals[0].share, 1u);
  EXPECT_EQ(back->letters.arrivals[0].at_us, 78);
  ASSERT_EQ(back->letters.replies.size(), 1u);
  EXPECT_EQ(back->letters.replies[0].id, kId);
}

TEST(Wire, WhatIsCutOffOrGoesOnIsRefused) {
  const auto cut_everywhere = [](const std::string& whole, auto read) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(read(std::string_view(whole).substr(0, size))) << size;
    }
    EXPECT_TRUE(read(std::string_view(whole)));
    EXPECT_FALSE(read(std::string_view(whole + "x")));
  };
  cut_everywhere(to_bytes(Hello{"1.0", "nonce"}), read_hello);
  cut_everywhere(to_bytes(Refusal{true, "no"}), read_refusal);
  cut_everywhere(to_bytes(preparation()), read_preparation);
  cut_everywhere(to_bytes(report()), read_report);
  cut_everywhere(to_bytes(1, letters()), read_mail);
  cut_everywhere(to_bytes(std::vector<std::string>{"a", "b"}), read_texts);
  cut_everywhere(to_bytes(uint64_t{300}), read_number);
  cut_everywhere(to_bytes(StageBegin{.stage = 2, .began_us = -7}), read_stage_begin);
  cut_everywhere(to_bytes(ShareNews{.share = 1, .elsewhere = {1, 2, 3}}), read_share_news);
}

TEST(Wire, ACountThatTheBytesCannotHoldCostsNoMemory) {
  std::string bytes;
  bytes.append("\x00", 1);                              // to worker 0
  bytes.append("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);  // so many promises
  EXPECT_FALSE(read_mail(bytes));
  EXPECT_FALSE(read_texts("\xff\xff\xff\xff\xff\xff\xff\x7f"));
}

}  // namespace
}  // namespace courier::load
