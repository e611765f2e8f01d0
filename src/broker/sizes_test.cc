// What a connection and a session take while nothing happens: there are a million of them.
#include <gtest/gtest.h>

#include "broker/client_table.h"
#include "broker/connection.h"

namespace courier::broker {
namespace {

TEST(Sizes, AnIdleConnectionStaysSmall) {
  EXPECT_LE(sizeof(Connection), 264u);
}

TEST(Sizes, AnIdleSessionStaysSmall) {
  EXPECT_LE(sizeof(session::Inbox), 40u);
  EXPECT_LE(sizeof(session::Session), 168u);
  EXPECT_LE(sizeof(Client), 216u);
}

}  // namespace
}  // namespace courier::broker
