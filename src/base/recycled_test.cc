#include "base/recycled.h"

#include <gtest/gtest.h>

namespace courier {
namespace {

struct Part {
  int marks = 0;
  bool worth_keeping = true;
  bool empty_out() {
    marks = 0;
    return worth_keeping;
  }
};

TEST(Recycled, IsThereFromMakeToDropAndReadsAsNewOtherwise) {
  Recycled<Part> part;
  EXPECT_FALSE(part);
  EXPECT_EQ(part.get(), nullptr);
  EXPECT_EQ(part->marks, 0);
  part.make().marks = 3;
  EXPECT_TRUE(part);
  EXPECT_EQ(part->marks, 3);
  part.drop();
  EXPECT_FALSE(part);
  EXPECT_EQ(part->marks, 0);
}

TEST(Recycled, TheNextOwnerGetsWhatTheLastGaveBackEmpty) {
  Recycled<Part> first, second;
  first.make().marks = 3;
  const Part* part = first.get();
  first.drop();
  EXPECT_EQ(&second.make(), part);
  EXPECT_EQ(second->marks, 0);
  EXPECT_NE(&first.make(), part);
}

TEST(Recycled, WhatIsNotWorthKeepingIsNotUsedAgain) {
  Recycled<Part> good, bad;
  good.make();
  bad.make().worth_keeping = false;
  const Part* kept = good.get();
  good.drop();
  bad.drop();
  EXPECT_EQ(&bad.make(), kept);
}

}  // namespace
}  // namespace courier
