#include <gtest/gtest.h>

#include "auth/authenticator.h"

namespace courier::auth {
namespace {

TEST(Hangup, TellsOnceWhoWorksForTheClientWhenItGoes) {
  Hangup hangup;
  int first = 0, second = 0;
  hangup.then([&] { ++first; });
  hangup.then([&] { ++second; });
  EXPECT_EQ(first + second, 0);
  hangup.gone();
  hangup.gone();
  EXPECT_EQ(first, 0) << "the second took its place";
  EXPECT_EQ(second, 1);
  hangup.then([&] { ++first; });
  EXPECT_EQ(first, 1) << "it has gone already";
}

}  // namespace
}  // namespace courier::auth
