#include "base/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

namespace courier {
namespace {

template <typename Tested>
void expect_a_deque() {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    Tested ring;
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
        Tested other(std::move(ring));
        EXPECT_TRUE(ring.empty());
        ring = std::move(other);
      }
      ASSERT_EQ(ring.size(), model.size());
      for (size_t k = 0; k < model.size(); ++k) ASSERT_EQ(*ring[k], model[k]);
    }
  }
}

TEST(Ring, BehavesAsADequeDoes) {
  expect_a_deque<Ring<std::unique_ptr<uint32_t>>>();
}

TEST(Ring, BehavesAsADequeDoesWhenItKeepsItsMemory) {
  expect_a_deque<Ring<std::unique_ptr<uint32_t>, 16>>();
}

TEST(Ring, KeepsRoomForNoMoreThanAsked) {
  Ring<int, 4> ring;
  const auto place_after = [&](int count) {
    for (int i = 0; i < count; ++i) ring.push_back(i);
    const int* place = &ring[0];
    while (!ring.empty()) ring.pop_front();
    return place;
  };
  const int* kept = place_after(4);
  EXPECT_EQ(place_after(4), kept);
  (void)place_after(5);
  ring.push_back(1);
  EXPECT_EQ(ring.capacity(), 4u);
}

TEST(Ring, AnEmptyOneIsSmall) {
  EXPECT_LE(sizeof(Ring<int>), 24u);
}

template <typename Tested>
void expect_destroyed_at_once() {
  auto item = std::make_shared<int>(1);
  Tested ring;
  for (int i = 0; i < 10; ++i) ring.push_back(item);
  ring.pop_front();
  EXPECT_EQ(item.use_count(), 10);
  ring.truncate(3);
  EXPECT_EQ(item.use_count(), 4);
  ring.clear();
  EXPECT_EQ(item.use_count(), 1);
}

TEST(Ring, WhatLeavesIsDestroyedAtOnce) {
  expect_destroyed_at_once<Ring<std::shared_ptr<int>>>();
  expect_destroyed_at_once<Ring<std::shared_ptr<int>, 16>>();
}

}  // namespace
}  // namespace courier
