#include "base/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

namespace courier {
namespace {

TEST(Ring, BehavesAsADequeDoes) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    Ring<std::unique_ptr<uint32_t>> ring;
    std::deque<uint32_t> model;
    for (uint32_t i = 0; i < 2000; ++i) {
      const uint32_t choice = random() % 100;
      if (choice < 45) {
        ring.push_back(std::make_unique<uint32_t>(i));
        model.push_back(i);
      } else if (choice < 52) {
        ring.push_front(std::make_unique<uint32_t>(i));
        model.push_front(i);
      } else if (choice < 97 && !model.empty()) {
        EXPECT_EQ(*ring.pop_front(), model.front());
        model.pop_front();
      } else if (choice == 98) {
        const size_t size = random() % (model.size() + 1);
        ring.truncate(size);
        model.resize(size);
      } else if (choice == 99) {
        Ring<std::unique_ptr<uint32_t>> other(std::move(ring));
        EXPECT_TRUE(ring.empty());
        ring = std::move(other);
      }
      ASSERT_EQ(ring.size(), model.size());
      for (size_t k = 0; k < model.size(); ++k) ASSERT_EQ(*ring[k], model[k]);
    }
  }
}

TEST(Ring, AnEmptyOneIsSmall) {
  EXPECT_LE(sizeof(Ring<int>), 24u);
}

TEST(Ring, WhatLeavesIsDestroyedAtOnce) {
  auto item = std::make_shared<int>(1);
  Ring<std::shared_ptr<int>> ring;
  for (int i = 0; i < 10; ++i) ring.push_back(item);
  ring.pop_front();
  EXPECT_EQ(item.use_count(), 10);
  ring.truncate(3);
  EXPECT_EQ(item.use_count(), 4);
  ring.clear();
  EXPECT_EQ(item.use_count(), 1);
}

}  // namespace
}  // namespace courier
