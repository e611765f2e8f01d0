#include "cluster/time_agreement.h"

#include <gtest/gtest.h>

#include <vector>

#include "cluster/cluster_clock.h"

namespace courier::cluster {
namespace {

using Kind = TimeAnswer::Kind;
using Verdict = TimeVerdict::Kind;

constexpr WallMs kNow = 1'700'000'000'000;
constexpr NodeEpoch kSelf{5}, kFront{3}, kBehind{8};
const TimeAnswer kTime{Kind::time, kNow}, kSoon{Kind::soon}, kAsks{Kind::asks}, kAfterYou{Kind::after_you};
const std::optional<TimeAnswer> kSilent;

Verdict judged(std::vector<TimePeer> others, bool stepped_back = false) {
  return judge_time(kSelf, stepped_back, others).kind;
}

TEST(TimeAnswer, ComesBackAsItWasSaid) {
  for (const TimeAnswer& answer : {kTime, kSoon, kAsks, kAfterYou, TimeAnswer{Kind::time, kTimeMin},
                                   TimeAnswer{Kind::time, kTimeMax - 1}}) {
    EXPECT_EQ(parse_time_answer(to_text(answer)), answer);
  }
}

TEST(TimeAnswer, NothingElseIsBelieved) {
  for (const char* text : {"",
                           " ",
                           "-",
                           "0",
                           "-1",
                           "+1700000000000",
                           "1700000000000 ",
                           " 1700000000000",
                           "1700000000000.5",
                           "17e11",
                           "0x18bcfe56800",
                           "1700000000000ms",
                           "-1700000000000",
                           "1577836799999",
                           "4733510400000",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "9223372036854775808",
                           "99999999999999999999999999",
                           "Soon",
                           "soon ",
                           "after",
                           "garbage",
                           "\xff\xfe"}) {
    EXPECT_FALSE(parse_time_answer(text)) << text;
  }
  EXPECT_FALSE(parse_time_answer(std::string_view("1700000000000\0", 14)));
}

TEST(TimeAgreement, WhoHasTheTimeIsBelievedWhateverItsEpoch) {
  for (const NodeEpoch epoch : {kFront, kBehind}) {
    const std::vector<TimePeer> others{{NodeEpoch{4}, kSilent}, {epoch, kTime}};
    EXPECT_EQ(judge_time(kSelf, false, others), (TimeVerdict{Verdict::told, kNow}));
  }
}

TEST(TimeAgreement, WithNobodyInFrontItIsTheFirst) {
  EXPECT_EQ(judged({}), Verdict::first);
  EXPECT_EQ(judged({{kBehind, kSilent}}), Verdict::first);
  EXPECT_EQ(judged({{kBehind, kAsks}}), Verdict::first);
}

TEST(TimeAgreement, WhoIsInFrontIsWaitedForUnlessItStepsBack) {
  EXPECT_EQ(judged({{kFront, kSilent}}), Verdict::wait);
  EXPECT_EQ(judged({{kFront, kAsks}}), Verdict::wait);
  EXPECT_EQ(judged({{kFront, kSoon}}), Verdict::wait);
  EXPECT_EQ(judged({{kFront, kAfterYou}}), Verdict::first);
  EXPECT_EQ(judged({{kFront, kAfterYou}, {NodeEpoch{4}, kAsks}}), Verdict::wait);
}

TEST(TimeAgreement, WhoHasSteppedBackAsksThoseBehindItToo) {
  EXPECT_EQ(judged({{kBehind, kSilent}}, true), Verdict::wait);
  EXPECT_EQ(judged({{kBehind, kSoon}}, true), Verdict::wait);
  EXPECT_EQ(judged({{kBehind, kTime}}, true), Verdict::told);
  EXPECT_EQ(judged({{kBehind, kAfterYou}}, true), Verdict::first);
}

// Both have got a state of somebody who is gone since.
TEST(TimeAgreement, OfTwoThatHaveSteppedBackTheFirstIsFirst) {
  const std::vector<TimePeer> of_5{{kBehind, kAsks}}, of_8{{kSelf, kAsks}};
  EXPECT_EQ(judge_time(kSelf, true, of_5).kind, Verdict::first);
  EXPECT_EQ(judge_time(kBehind, true, of_8).kind, Verdict::wait);
}

}  // namespace
}  // namespace courier::cluster
