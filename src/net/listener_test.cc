#include "net/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "net/errc.h"
#include "net/loopback_pair.h"

namespace courier::net {
namespace {

using testing::HasSubstr;

// A folder of its own for a test's socket files.
struct Folder {
  Folder() {
    char name[] = "/tmp/courier-net-XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  SocketAddress address() const { return *SocketAddress::parse("unix:" + (path / "broker.sock").string()); }
  std::filesystem::path path;
};

// Lets the process open only so many descriptors as it holds now, plus `more`.
struct DescriptorLimit {
  explicit DescriptorLimit(int more) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    // The lowest free descriptor is where the kernel would put the next one; fill the holes below the limit.
    const Fd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit less = before;
    less.rlim_cur = static_cast<rlim_t>(lowest.get() + more);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &less), 0);
  }
  ~DescriptorLimit() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0); }
  rlimit before;
};

TEST(Listener, SaysWhoMightHoldTheAddress) {
  const auto first = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(first);
  const auto second = Listener::open(first->address());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, errc::address_in_use);
  EXPECT_THAT(second.error().message, HasSubstr("cannot listen on " + first->address().to_string() +
                                                ": address already in use; is another broker running?"));
}

TEST(Listener, SaysThatAnAddressIsNotOurs) {
  const auto listener = Listener::open(*SocketAddress::parse("192.0.2.1:0"));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, errc::address_not_available);
  EXPECT_THAT(listener.error().message, HasSubstr("no network interface has this address"));
}

TEST(Listener, NoAddressIsAnError) {
  EXPECT_EQ(Listener::open(SocketAddress()).error().code, errc::bad_address);
}

TEST(Listener, SeveralThreadsMayListenOnOneAddress) {
  const ListenOptions shared{.reuse_port = true};
  const auto first = Listener::open(*SocketAddress::parse("127.0.0.1:0"), shared);
  ASSERT_TRUE(first);
  const auto second = Listener::open(first->address(), shared);
  EXPECT_TRUE(second) << second.error().message;
}

TEST(Listener, TheIpv6WildcardTakesIpv4Too) {
  auto listener = Listener::open(*SocketAddress::parse("[::]:0"));
  if (!listener) GTEST_SKIP() << listener.error().message;
  EXPECT_THAT(listener->address().to_string(), testing::StartsWith("[::]:"));
  auto client = connect_start(SocketAddress::parse("127.0.0.1:0")->with_port(listener->address().port()));
  ASSERT_TRUE(client);
  ASSERT_TRUE(await(listener->fd(), POLLIN));
  EXPECT_EQ(listener->accept().peer.host(), "127.0.0.1");
}

TEST(Listener, AcceptedSocketsNeverBlockAndInheritTheOptions) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"),
                                 {.keep_alive = KeepAliveProbes{.idle_seconds = 123}});
  ASSERT_TRUE(listener);
  auto client = connect_start(listener->address());
  ASSERT_TRUE(client && await(listener->fd(), POLLIN));
  const Accepted accepted = listener->accept();
  ASSERT_EQ(accepted.outcome, AcceptOutcome::accepted);
  const int fd = accepted.fd.get();
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  int value = 0;
  socklen_t size = sizeof value;
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  EXPECT_NE(value, 0);
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
  EXPECT_EQ(value, 123);
  EXPECT_EQ(listener->accept().outcome, AcceptOutcome::none);
}

TEST(Listener, OutOfDescriptorsItTakesAndClosesConnectionsInsteadOfSpinning) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener);
  std::vector<Fd> clients;
  for (int i = 0; i < 3; ++i) {
    auto client = connect_start(listener->address());
    ASSERT_TRUE(client);
    ASSERT_TRUE(await(client->get(), POLLOUT));
    clients.push_back(*std::move(client));
  }
  {
    const DescriptorLimit limit(1);
    ASSERT_TRUE(await(listener->fd(), POLLIN));
    Accepted fits = listener->accept();
    EXPECT_EQ(fits.outcome, AcceptOutcome::accepted) << "one more was allowed";
    for (int i = 0; i < 2; ++i) {
      const Accepted refused = listener->accept();
      EXPECT_EQ(refused.outcome, AcceptOutcome::refused);
      EXPECT_EQ(refused.error, EMFILE);
      EXPECT_EQ(refused.peer.host(), "127.0.0.1");
    }
    EXPECT_EQ(listener->accept().outcome, AcceptOutcome::none) << "EMFILE with nobody waiting";
    EXPECT_EQ(listener->accept().outcome, AcceptOutcome::none) << "and the reserve is still there";
    // Those that were refused learn at once; the one that was accepted stays.
    int ended = 0;
    char byte;
    for (Fd& client : clients) {
      if (client.get() == clients[0].get()) continue;
      ASSERT_TRUE(await(client.get(), POLLIN));
      ended += read_some(client.get(), {&byte, 1}).status != IoStatus::would_block;
    }
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(read_some(clients[0].get(), {&byte, 1}).status, IoStatus::would_block);
  }
  auto client = connect_start(listener->address());
  ASSERT_TRUE(client && await(listener->fd(), POLLIN));
  EXPECT_EQ(listener->accept().outcome, AcceptOutcome::accepted) << "all is well again with more descriptors";
}

TEST(Listener, StallsWhenEvenTheReserveIsTaken) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener);
  auto client = connect_start(listener->address());
  ASSERT_TRUE(client && await(listener->fd(), POLLIN));
  {
    rlimit before;
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;  // not even the reserve's place can be used again
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const Accepted stalled = listener->accept();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(stalled.outcome, AcceptOutcome::stalled);
    EXPECT_EQ(stalled.error, EMFILE);
  }
  EXPECT_EQ(listener->accept().outcome, AcceptOutcome::accepted) << "the connection was left in the backlog";
}

TEST(Listener, APeerThatGaveUpIsNoError) {
  auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener);
  auto client = connect_start(listener->address());
  ASSERT_TRUE(client && await(client->get(), POLLOUT));
  set_reset_on_close(client->get());
  *client = Fd();
  Accepted accepted = listener->accept();
  if (accepted.outcome == AcceptOutcome::accepted) {
    // Linux hands out the dead connection; what matters is that accepting goes on.
    char byte;
    EXPECT_EQ(read_some(accepted.fd.get(), {&byte, 1}).status, IoStatus::failed);
    accepted = listener->accept();
  }
  EXPECT_EQ(accepted.outcome, AcceptOutcome::none);
}

TEST(Listener, AUnixSocketsFileHasItsModeAndGoesWithTheListener) {
  const Folder folder;
  const std::string path(folder.address().path());
  {
    auto listener = Listener::open(folder.address(), {.unix_mode = 0600});
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat status;
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    auto client = connect_start(folder.address());
    ASSERT_TRUE(client && await(listener->fd(), POLLIN));
    EXPECT_EQ(listener->accept().peer.to_string(), "unix:");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listener, AUnixSocketLeftByACrashIsReplacedButALiveOneIsNot) {
  const Folder folder;
  {
    // What a crash leaves: a bound socket without a process.
    const Fd crashed(::socket(AF_UNIX, SOCK_STREAM, 0));
    const NativeAddress native = folder.address().native();
    ASSERT_EQ(::bind(crashed.get(), native.get(), native.size), 0);
  }
  auto listener = Listener::open(folder.address());
  ASSERT_TRUE(listener) << listener.error().message;
  const auto second = Listener::open(folder.address());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, errc::address_in_use);
  auto client = connect_start(folder.address());
  EXPECT_TRUE(client) << "the live listener still has its file";
}

TEST(Listener, AFileThatIsNoSocketIsNeverRemoved) {
  const Folder folder;
  std::ofstream(std::string(folder.address().path())) << "precious";
  const auto listener = Listener::open(folder.address());
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, errc::address_in_use);
  EXPECT_TRUE(std::filesystem::exists(folder.address().path()));
}

TEST(Listener, ASuccessorsFileIsNotRemoved) {
  const Folder folder;
  auto old = Listener::open(folder.address());
  ASSERT_TRUE(old);
  std::filesystem::remove(folder.address().path());
  const auto successor = Listener::open(folder.address());
  ASSERT_TRUE(successor);
  old = *Listener::open(*SocketAddress::parse("127.0.0.1:0"));
  EXPECT_TRUE(std::filesystem::exists(folder.address().path()));
}

}  // namespace
}  // namespace courier::net
