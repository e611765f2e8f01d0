// A server that goes away and comes back, as `courier sub` and `courier pub` meet it. The server is a socket
// of ours, so that each of its words comes when the test wants it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "courier/command.h"
#include "courier/courier_process.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// One connection at a time, MQTT 5.0.
class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_), size) == 0);
    CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size) == 0);
    CHECK(::listen(listener_.get(), 8) == 0);
  }
  std::string port() const { return std::to_string(ntohs(address_.sin_port)); }
  // Takes a connection, reads CONNECT and says CONNACK.
  void greet(std::string_view connack = {"\x20\x03\x00\x00\x00", 5}) {
    connection_ = net::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_EQ(type_of(read()), 0x10) << "CONNECT";
    write(connack);
  }
  void accept_subscription() {
    const std::string subscribe = read();
    ASSERT_EQ(type_of(subscribe), 0x80) << "SUBSCRIBE";
    write(std::string("\x90\x04", 2) + subscribe.substr(2, 2) + std::string("\x00\x00", 2));
  }
  void write(std::string_view bytes) {
    CHECK(::write(connection_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  void vanish() { connection_.reset(); }
  // A packet; all of ours are short.
  std::string read() {
    std::string packet = bytes(2);
    return packet + bytes(static_cast<unsigned char>(packet[1]));
  }
  static int type_of(const std::string& packet) { return packet[0] & 0xF0; }

 private:
  std::string bytes(size_t count) {
    std::string room(count, '\0');
    EXPECT_EQ(::recv(connection_.get(), room.data(), count, MSG_WAITALL), static_cast<ssize_t>(count));
    return room;
  }
  sockaddr_in address_{};
  net::Fd listener_, connection_;
};

constexpr std::string_view kShuttingDown{"\xe0\x02\x8b\x00", 4};
constexpr std::string_view kTakenOver{"\xe0\x02\x8e\x00", 4};
constexpr std::string_view kHello{"\x30\x09\x00\x01t\x00hello", 11};

TEST(Outage, SubWaitsForItsServerSubscribesAgainAndSaysSoOnce) {
  Server server;
  Process sub({"sub", "-h", "127.0.0.1", "-p", server.port(), "-t", "t", "-C", "1"});
  server.greet();
  server.accept_subscription();
  server.vanish();
  server.greet();
  server.accept_subscription();
  server.write(kHello);
  EXPECT_EQ(sub.wait(), kOk);
  EXPECT_EQ(sub.out, "hello\n");
  EXPECT_THAT(sub.err, HasSubstr("closed the connection. Connecting again"));
  EXPECT_THAT(sub.err, HasSubstr("connected again, after"));
}

TEST(Outage, AServerThatShutsDownIsWaitedForByPubOfLines) {
  Server server;
  Process pub({"pub", "-h", "127.0.0.1", "-p", server.port(), "-t", "t", "-l"});
  server.greet();
  server.write(kShuttingDown);
  server.vanish();
  server.greet();
  pub.write("hello\n");
  pub.end_input();
  EXPECT_EQ(server.read(), kHello);
  EXPECT_EQ(Server::type_of(server.read()), 0xE0) << "DISCONNECT";
  server.vanish();
  EXPECT_EQ(pub.wait(), kOk);
  EXPECT_THAT(pub.err, HasSubstr("server_shutting_down. Connecting again"));
}

TEST(Outage, AServerThatDoesNotWantUsIsNotWaitedFor) {
  Server server;
  Process sub({"sub", "-h", "127.0.0.1", "-p", server.port(), "-t", "t"});
  server.greet();
  server.accept_subscription();
  server.write(kTakenOver);
  server.vanish();
  EXPECT_EQ(sub.wait(), kRefused);
  EXPECT_THAT(sub.err, HasSubstr("session_taken_over"));
  EXPECT_THAT(sub.err, Not(HasSubstr("onnecting again")));
}

TEST(Outage, ASingleMessageIsGivenUpWithItsConnection) {
  Server server;
  Process pub({"pub", "-h", "127.0.0.1", "-p", server.port(), "-t", "t", "-q", "1", "-m", "hello"});
  server.greet();
  EXPECT_EQ(Server::type_of(server.read()), 0x30) << "PUBLISH";
  server.vanish();
  EXPECT_EQ(pub.wait(), kNoConnection);
}

TEST(Outage, InterruptAndTimeLimitEndTheWait) {
  for (const bool limited : {false, true}) {
    Server server;
    std::vector<std::string> arguments{"sub", "-h", "127.0.0.1", "-p", server.port(), "-t", "t"};
    if (limited) arguments.insert(arguments.end(), {"-W", "1"});
    Process sub(arguments);
    server.greet();
    server.accept_subscription();
    server.vanish();
    ASSERT_TRUE(sub.wait_for_note("Connecting again"));
    if (!limited) sub.signal(SIGINT);
    EXPECT_EQ(sub.wait(), limited ? kTimeout : kOk);
  }
}

}  // namespace
}  // namespace courier::cli
