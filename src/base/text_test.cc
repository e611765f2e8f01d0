#include "base/text.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/lazy.h"
#include "base/name.h"

namespace courier {
namespace {

static_assert(sizeof(Text) == 16 && sizeof(BasicText<24>) == 24);
static_assert(sizeof(Name) == 8 && sizeof(Lazy<std::vector<int>>) == 8);

TEST(Text, HoldsWhatItWasGivenInsideAndOutside) {
  for (size_t size = 0; size < 300; ++size) {
    std::string given(size, 'x');
    for (size_t i = 0; i < size; ++i) given[i] = static_cast<char>(i * 7);
    Text text(given);
    Text copy = text;
    const Text moved = std::move(text);
    EXPECT_EQ(copy.view(), given);
    EXPECT_EQ(moved.view(), given);
    EXPECT_EQ(copy, moved);
    EXPECT_EQ(copy.empty(), size == 0);
    copy = Text("another");
    EXPECT_EQ(copy.view(), "another");
    EXPECT_EQ(moved.view(), given);
  }
}

TEST(Text, ALongOneIsSharedByItsCopies) {
  const Text text(std::string(100, 'x'));
  const Text copy = text;
  EXPECT_EQ(text.view().data(), copy.view().data());
}

TEST(Name, StandsOnceAndGoesWithTheLastThatNamesIt) {
  const size_t before = Name::count();
  {
    const Name one("tenant"), other(std::string("tenant")), third("tenant-b");
    EXPECT_EQ(one, other);
    EXPECT_FALSE(one == third);
    EXPECT_EQ(&one.str(), &other.str());
    EXPECT_EQ(Name::count(), before + 2);
    EXPECT_EQ(Name(""), Name());
  }
  EXPECT_EQ(Name::count(), before);
}

TEST(Name, SurvivesManyThreadsThatMakeAndDropTheSame) {
  const size_t before = Name::count();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 20'000; ++i) {
        const std::string text = "n" + std::to_string(i % 3);
        const Name name(text);
        const Name copy = name;
        ASSERT_EQ(copy.str(), text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Name::count(), before);
}

TEST(Lazy, ReadsAsEmptyUntilItIsMade) {
  Lazy<std::vector<int>> numbers;
  EXPECT_TRUE(numbers->empty());
  EXPECT_FALSE(numbers);
  numbers.make().push_back(1);
  EXPECT_EQ(numbers->size(), 1u);
  numbers.drop();
  EXPECT_TRUE(numbers->empty());
}

}  // namespace
}  // namespace courier
