#include "gateway/connection_state.h"

#include <gtest/gtest.h>

#include <string>

namespace courier::gateway {
namespace {

TEST(ConnectionState, TheTableIsTheDrawing) {
  std::string table;
  for (size_t from = 0; from < kConnectionStateCount; ++from) {
    table += name(static_cast<ConnectionState>(from));
    table += ':';
    for (size_t to = 0; to < kConnectionStateCount; ++to) {
      if (!may_move(static_cast<ConnectionState>(from), static_cast<ConnectionState>(to))) continue;
      table += ' ';
      table += name(static_cast<ConnectionState>(to));
    }
    table += '\n';
  }
  EXPECT_EQ(table,
            "proxy_header: delayed handshake connect closed\n"
            "delayed: proxy_header handshake connect closed\n"
            "handshake: connect closing closed\n"
            "connect: serving closing closed\n"
            "serving: closing closed\n"
            "closing: lingering closed\n"
            "lingering: closed\n"
            "closed:\n");
}

}  // namespace
}  // namespace courier::gateway
