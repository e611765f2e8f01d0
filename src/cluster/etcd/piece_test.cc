#include "cluster/etcd/piece.h"

#include <gtest/gtest.h>

#include "cluster/etcd/errc.h"
#include "cluster/etcd/limits.h"
#include "cluster/etcd/log_reading.h"
#include "cluster/etcd/tail.h"

namespace courier::cluster::etcd {
namespace {

Arrival arrival(uint64_t epoch, uint64_t seq, uint64_t revision, std::string value) {
  return {revision, {NodeEpoch(epoch), seq}, std::move(value)};
}

// The bytes in etcd, once and for all.
TEST(Piece, BytesAreAsWrittenDown) {
  const std::vector<std::string> values = cut("batch", 0x0102030405060708);
  ASSERT_EQ(values.size(), 1u);
  EXPECT_EQ(values[0], std::string("\x01\x01\x00\x00\x00\x00\x08\x07\x06\x05\x04\x03\x02\x01"
                                   "batch",
                                   19));
}

TEST(Piece, LongBatchIsCutAndPutTogetherAgainAmongOthers) {
  std::string batch(3 * kPieceBytesMax, 'x');
  batch[kPieceBytesMax] = 'y';
  const std::vector<std::string> values = cut(batch, 9);
  ASSERT_EQ(values.size(), 3u);
  for (const std::string& value : values) EXPECT_EQ(value.size(), kPieceHeadBytes + kPieceBytesMax);
  Assembly assembly;
  for (uint64_t i = 0; i < 3; ++i) {
    const auto whole = assembly.add(arrival(1, 5 + i, 10 + i, values[i]));
    ASSERT_TRUE(whole) << whole.error().message;
    ASSERT_EQ(whole->has_value(), i == 2);
    if (i == 2) {
      EXPECT_EQ((*whole)->bytes, batch);
      EXPECT_EQ((*whole)->writer, 9u);
      break;
    }
    ASSERT_EQ(assembly.open().size(), 1u);
    EXPECT_EQ(assembly.open()[0].since, 10u);
    const auto other = assembly.add(arrival(2, i, 20 + i, cut("other", 3)[0]));
    ASSERT_TRUE(other && other->has_value());
    EXPECT_EQ((*other)->bytes, "other");
  }
  EXPECT_TRUE(assembly.open().empty());
}

TEST(Piece, WhatDoesNotFitIsRefused) {
  const std::vector<std::string> values = cut(std::string(2 * kPieceBytesMax, 'x'), 9);
  const auto refused = [](Assembly& assembly, Arrival piece) {
    const auto added = assembly.add(piece);
    return added ? std::error_code() : added.error().code;
  };
  Assembly assembly;
  EXPECT_EQ(refused(assembly, arrival(1, 1, 1, values[1])), make_error_code(errc::snapshot_needed));
  EXPECT_EQ(refused(assembly, arrival(1, 0, 1, "")), make_error_code(errc::damaged));
  EXPECT_EQ(refused(assembly, arrival(1, 0, 1, std::string("\x02") + values[0].substr(1))),
            make_error_code(errc::newer_format));
  EXPECT_EQ(refused(assembly, arrival(1, 0, 1, values[0].substr(0, 5))), make_error_code(errc::damaged));
  std::string flags = values[0];
  flags[1] = 4;
  EXPECT_EQ(refused(assembly, arrival(1, 0, 1, flags)), make_error_code(errc::damaged));
  ASSERT_TRUE(assembly.add(arrival(1, 0, 1, values[0])));
  EXPECT_EQ(refused(assembly, arrival(1, 2, 2, values[1])), make_error_code(errc::damaged))
      << "a key too far";
  EXPECT_EQ(refused(assembly, arrival(1, 1, 2, values[0])), make_error_code(errc::damaged))
      << "another index";
  EXPECT_EQ(refused(assembly, arrival(1, 1, 2, cut(std::string(2 * kPieceBytesMax, 'x'), 8)[1])),
            make_error_code(errc::damaged))
      << "another writer";
}

TEST(Gap, IsWhereAnEpochBeginsAheadOfTheReaderOrTheMarkIs) {
  const Keys keys = *Keys::of("one");
  const auto code = [&](const Listing& listing, uint64_t cursor) {
    const Result<void> whole = check_gap(listing, cursor, keys);
    return whole ? std::error_code() : whole.error().code;
  };
  const std::error_code none, gap = make_error_code(errc::snapshot_needed);
  Listing listing{100, 0, {{NodeEpoch(1), {{0, 10}, {1, 20}}}}};
  EXPECT_EQ(code(listing, 0), none) << "all from the beginning";
  listing.epochs[NodeEpoch(2)] = {{7, 50}, {8, 60}};
  EXPECT_EQ(code(listing, 49), gap);
  EXPECT_EQ(code(listing, 50), none);
  listing.trimmed = 70;
  EXPECT_EQ(code(listing, 69), gap);
  EXPECT_EQ(code(listing, 70), none);
  EXPECT_EQ(code(listing, 101), make_error_code(errc::behind));
}

TEST(Tail, CheckpointsCoverWholeRevisions) {
  Tail tail;
  tail.add(10, Position(3), 100, {});
  tail.add(11, Position(5), 50, {{NodeEpoch(1), 11}});
  EXPECT_FALSE(tail.done());
  tail.checkpointed(Position(2));
  EXPECT_FALSE(tail.done()) << "inside a revision";
  tail.checkpointed(Position(4));
  EXPECT_EQ(tail.done()->revision, 10u);
  EXPECT_EQ(tail.uncovered_bytes(), 50u);
  tail.checkpointed(Position(5));
  EXPECT_EQ(tail.done()->revision, 11u);
  ASSERT_EQ(tail.done()->open.size(), 1u);
  EXPECT_EQ(tail.uncovered_bytes(), 0u);
  EXPECT_EQ(tail.bytes_after(0), 150u) << "what is stored is still in the log";
  EXPECT_EQ(tail.bytes_after(10), 50u);
  tail.drop(10);
  EXPECT_EQ(tail.bytes_after(0), 50u);
}

}  // namespace
}  // namespace courier::cluster::etcd
