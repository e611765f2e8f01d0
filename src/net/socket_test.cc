#include "net/socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "net/errc.h"
#include "net/loopback_pair.h"

namespace courier::net {
namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(Connect, ReachesAListener) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener) << listener.error().message;
  auto client = connect_start(listener->address());
  ASSERT_TRUE(client) << client.error().message;
  ASSERT_TRUE(await(client->get(), POLLOUT));
  EXPECT_TRUE(connect_outcome(client->get(), listener->address()));
  ASSERT_TRUE(await(listener->fd(), POLLIN));
  const Accepted accepted = listener->accept();
  ASSERT_EQ(accepted.outcome, AcceptOutcome::accepted);
  EXPECT_EQ(accepted.peer, *SocketAddress::local_of(client->get()));
  EXPECT_EQ(*SocketAddress::peer_of(client->get()), listener->address());
}

TEST(Connect, SaysThatNothingListens) {
  // A port that was free a moment ago.
  const auto gone = Listener::open(*SocketAddress::parse("127.0.0.1:0"))->address();
  auto client = connect_start(gone);
  Result<void> outcome;
  if (client) {
    ASSERT_TRUE(await(client->get(), POLLOUT));
    outcome = connect_outcome(client->get(), gone);
  } else {
    outcome = fail(client.error());
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, errc::refused);
  EXPECT_EQ(outcome.error().message,
            "cannot connect to " + gone.to_string() + ": connection refused; nothing listens there");
}

TEST(Connect, ComesFromTheAddressItIsTold) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener);
  for (const char* source : {"127.0.7.9:0", "127.0.7.10:0"}) {
    auto client = connect_start(listener->address(), {.source = *SocketAddress::parse(source)});
    ASSERT_TRUE(client) << client.error().message;
    ASSERT_TRUE(await(listener->fd(), POLLIN));
    EXPECT_EQ(listener->accept().peer.with_port(0).to_string(), source);
  }
}

TEST(Connect, SaysThatASourceIsNotOurs) {
  const auto client =
      connect_start(*SocketAddress::parse("127.0.0.1:1"), {.source = *SocketAddress::parse("192.0.2.1:0")});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, errc::address_not_available);
  EXPECT_THAT(client.error().message, testing::StartsWith("cannot connect from 192.0.2.1:0: "));
}

TEST(Connect, NoAddressIsAnError) {
  const auto client = connect_start(SocketAddress());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, errc::bad_address);
}

TEST(Connect, SaysThatAUnixSocketIsMissing) {
  const auto client = connect_start(*SocketAddress::parse("unix:/nonexistent/courier.sock"));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, errc::unreachable);
}

TEST(Reading, TellsNothingThereFromTheEnd) {
  LoopbackPair pair = LoopbackPair::open();
  char room[8];
  EXPECT_EQ(read_some(pair.server.get(), room).status, IoStatus::would_block);
  ASSERT_EQ(write_some(pair.client.get(), "abc").status, IoStatus::done);
  ASSERT_TRUE(await(pair.server.get(), POLLIN));
  const IoResult got = read_some(pair.server.get(), room);
  EXPECT_EQ(got.status, IoStatus::done);
  EXPECT_EQ(std::string_view(room, got.bytes), "abc");
  pair.client.reset();
  ASSERT_TRUE(await(pair.server.get(), POLLIN));
  EXPECT_EQ(read_some(pair.server.get(), room).status, IoStatus::closed);
}

TEST(Reading, AResetIsAFailureWithItsErrno) {
  LoopbackPair pair = LoopbackPair::open();
  set_reset_on_close(pair.client.get());
  pair.client.reset();
  ASSERT_TRUE(await(pair.server.get(), POLLIN));
  char room[8];
  const IoResult got = read_some(pair.server.get(), room);
  EXPECT_EQ(got.status, IoStatus::failed);
  EXPECT_EQ(got.error, ECONNRESET);
}

TEST(Writing, ToAFullSocketSaysHowMuchWent) {
  LoopbackPair pair = LoopbackPair::open();
  set_buffer_sizes(pair.server.get(), 0, 4096);
  const std::string much(16 << 20, 'x');
  const IoResult part = write_some(pair.server.get(), much);
  EXPECT_EQ(part.status, IoStatus::would_block);
  EXPECT_GT(part.bytes, 0u);
  EXPECT_LT(part.bytes, much.size());
}

TEST(Options, AreSet) {
  LoopbackPair pair = LoopbackPair::open();
  const int fd = pair.client.get();
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  set_no_delay(fd);
  EXPECT_NE(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
  set_keep_alive(fd, {.idle_seconds = 77, .interval_seconds = 11, .count = 3});
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 11);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

TEST(Options, AreIgnoredWhereTheyMeanNothing) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const Fd one(fds[0]), other(fds[1]);
  set_no_delay(one.get());
  set_keep_alive(one.get(), {});
  EXPECT_EQ(write_some(one.get(), "x").status, IoStatus::done);
}

TEST(Fd, ClosesOnceWhatItOwns) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Fd one(fds[0]), other(fds[1]);
  Fd moved = std::move(one);
  EXPECT_FALSE(one);
  EXPECT_EQ(moved.get(), fds[0]);
  moved = Fd();
  char byte;
  EXPECT_EQ(read_some(other.get(), {&byte, 1}).status, IoStatus::closed);
  const int released = other.release();
  EXPECT_FALSE(other);
  EXPECT_EQ(::close(released), 0);
}

}  // namespace
}  // namespace courier::net
