// Clients on real sockets, against a small server in the same process that plays a script.
#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "client/blocking_client.h"
#include "client/errc.h"
#include "client/scripted_server.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "net/errc.h"

namespace courier::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Client, ConnectsPublishesAndClosesInGoodOrder) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint(), .client_id = "c"}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  ASSERT_TRUE(client.publish({.topic = "t", .payload = "x", .qos = Qos::at_least_once}));
  EXPECT_EQ(script.read(peer, 9), std::string("\x32\x07\x00\x01t\x00\x01\x00x", 9));
  script.write(peer, std::string("\x40\x02\x00\x01", 4));
  ASSERT_TRUE(script.until([&] { return client.unfinished() == 0; }));
  client.close();
  EXPECT_EQ(script.read(peer, 2), std::string("\xe0\x00", 2));
  // The client has only ended its own direction: it stays until we have read everything.
  EXPECT_EQ(client.state(), Client::State::closing);
  peer.reset();
  ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  EXPECT_THAT(script.said, ElementsAre("connected", "published success", "closed"));
}

TEST(Client, WhatATurnPublishesArrivesTogetherAndInOrder) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  for (char c : std::string("abc")) ASSERT_TRUE(client.publish({.topic = "t", .payload = std::string(1, c)}));
  script.loop->run_once(0);
  char room[64];
  ASSERT_EQ(::recv(peer.get(), room, sizeof room, 0), 21);  // one segment
  EXPECT_EQ(std::string(room, 21), std::string("\x30\x05\x00\x01t\x00"
                                               "a\x30\x05\x00\x01t\x00"
                                               "b\x30\x05\x00\x01t\x00"
                                               "c",
                                               21));
}

TEST(Client, ReconnectsAndResendsAfterTheConnectionIsLost) {
  Script script;
  auto options = std::make_shared<ConnectOptions>();
  options->clean_start = false;
  options->session_expiry_seconds = 60;
  Client client(*script.loop,
                {.server = script.server.endpoint(), .connect = options, .client_id = "c", .backoff = {1, 2}},
                script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  ASSERT_TRUE(client.publish({.topic = "t", .qos = Qos::at_least_once}));
  script.read(peer, 8);
  peer.reset();
  net::Fd again = script.greet(kConnackPresentBytes);
  EXPECT_EQ(script.read(again, 8), std::string("\x3a\x06\x00\x01t\x00\x01\x00", 8));
  EXPECT_THAT(script.said, ElementsAre("connected", "disconnected connection lost", "connected present"));
}

TEST(Client, RefusedConnectionSaysWhereAndWhy) {
  Script script;
  const auto endpoint = script.server.endpoint();
  script.server.stop();
  Client client(*script.loop, {.server = endpoint, .reconnect = false}, script.on);
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  ASSERT_TRUE(script.ending);
  EXPECT_EQ(script.ending->code, errc::cannot_connect);
  EXPECT_EQ(script.ending->cause, net::errc::refused);
  EXPECT_THAT(script.ending->message,
              testing::StartsWith("cannot connect to " + endpoint->name + ": connection refused"));
}

TEST(Client, TriesTheNextAddressBeforeItFails) {
  Script script;
  ScriptedServer gone;
  auto endpoint = std::make_shared<Endpoint>(Endpoint{"both", {gone.address(), script.server.address()}});
  gone.stop();
  Client client(*script.loop, {.server = endpoint, .reconnect = false}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_THAT(script.said, ElementsAre("connected"));
}

TEST(ClientDeathTest, EndpointWithoutAnAddressIsAMistakeOfTheCaller) {
  EXPECT_DEATH(Endpoint::any_of({}), "addresses");
  Script script;
  const auto nowhere = std::make_shared<const Endpoint>(Endpoint{"nowhere", {}});
  EXPECT_DEATH(Client(*script.loop, {.server = nowhere}, script.on), "addresses");
}

TEST(Client, WhenOneOfSeveralServersDiesTheNextIsTried) {
  Script script;
  auto preferred = std::make_unique<ScriptedServer>();
  const auto first = preferred->address(), second = script.server.address();
  Client client(*script.loop, {.server = Endpoint::any_of({first, second}), .backoff = {1, 2}}, script.on);
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(script.until([&] { return preferred->pending(); }));
  net::Fd peer = preferred->accept();
  script.write(peer, kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_EQ(client.server_address(), first);
  preferred->stop();
  peer.reset();
  peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_EQ(client.server_address(), second);
  EXPECT_THAT(script.said, ElementsAre("connected", "disconnected connection lost", "connected"));
}

TEST(Client, AServerThatTakesConnectionsAndGivesNoConnackIsNotTriedFirstAgain) {
  Script script;
  ScriptedServer hangs_up;
  const auto endpoint = Endpoint::any_of({hangs_up.address(), script.server.address()});
  Client client(*script.loop, {.server = endpoint, .backoff = {1, 2}}, script.on);
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(script.until([&] { return hangs_up.pending(); }));
  hangs_up.accept().reset();
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_EQ(client.server_address(), script.server.address());
  EXPECT_EQ(endpoint->name, hangs_up.address().to_string() + " or " + script.server.address().to_string());
  // It was connected since: the preferred one has another chance.
  peer.reset();
  ASSERT_TRUE(script.until([&] { return hangs_up.pending(); }));
}

TEST(Client, PreambleAndSourceAddressComeFirst) {
  Script script;
  const auto source = *net::SocketAddress::from_ip("127.0.7.9", 0);
  const auto phone = *net::SocketAddress::from_ip("203.0.113.7", 4711);
  Client client(*script.loop,
                {.server = script.server.endpoint(),
                 .client_id = "c",
                 .source = source,
                 .preamble = proxy_preamble(1, phone, *net::SocketAddress::from_ip("198.51.100.1", 1883))},
                script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.accept();
  EXPECT_EQ(net::SocketAddress::peer_of(peer.get())->host(), "127.0.7.9");
  const std::string line = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 1883\r\n";
  EXPECT_THAT(script.read(peer, line.size() + 16), testing::StartsWith(line + "\x10"));
}

TEST(Client, ManyMegabytesToASlowReaderAllArrive) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  const std::string payload(100'000, 'x');
  size_t sent = 0;
  Result<RequestId> last;
  for (int i = 0; i < 1'000 && (last = client.publish({.topic = "t", .payload = payload})); ++i) {
    ++sent;
    script.loop->run_once(0);
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, errc::queue_full);  // bounded: nobody reads
  EXPECT_LE(client.output_bytes(), kOutputBytesMax + payload.size());
  client.close();
  const size_t packet = 1 + 3 + 2 + 1 + 1 + payload.size();
  EXPECT_EQ(script.read(peer, SIZE_MAX).size(), sent * packet + 2);  // and DISCONNECT
  EXPECT_GT(sent * packet, kOutputBytesMax);
}

TEST(Client, CutFromWithinAHookStopsDelivery) {
  Script script;
  script.on.message = [&](Client& client, const mqtt::Publish& publish) {
    script.said.push_back("message " + std::string(publish.payload));
    client.cut();
    script.said.push_back("still readable " + std::string(publish.payload));
  };
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes + std::string("\x32\x07\x00\x01t\x00\x01\x00x"
                                                          "\x32\x07\x00\x01t\x00\x02\x00y",
                                                          18));
  ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  EXPECT_EQ(script.read(peer, SIZE_MAX), "");  // no PUBACK, no DISCONNECT
  EXPECT_THAT(script.said, ElementsAre("connected", "message x", "still readable x"));
}

// The server sees nothing at all until the client is back: then the take-over first, the old end after it.
TEST(Client, ASilentCutLeavesTheServerWaiting) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  const net::Fd first = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  client.cut(Cut::silent);
  EXPECT_EQ(client.state(), Client::State::closed);
  script.loop->run_once(0);
  char room[64];
  const auto gone = [&] { return ::recv(first.get(), room, sizeof room, MSG_DONTWAIT) == 0; };
  while (::recv(first.get(), room, sizeof room, MSG_DONTWAIT) > 0) continue;
  EXPECT_FALSE(gone());
  ASSERT_TRUE(client.open());
  const net::Fd second = script.accept();
  EXPECT_EQ(script.read(second, 2).substr(0, 1), "\x10");
  EXPECT_FALSE(gone());
  script.write(second, kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_TRUE(script.until(gone));
}

TEST(Client, WhatComesOnASilentlyCutConnectionIsNotForTheNext) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd first = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  client.cut(Cut::silent);
  script.write(first, std::string("\x30\x05\x00\x01t\x00x", 7));
  first.reset();
  for (int turn = 0; turn < 20; ++turn) script.loop->run_once(0);
  EXPECT_EQ(client.state(), Client::State::closed);
  ASSERT_TRUE(client.open());
  const net::Fd second = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client.online(); }));
  EXPECT_THAT(script.said, ElementsAre("connected", "connected"));
}

TEST(Client, ReadsNothingWhileItIsToldNotTo) {
  Script script;
  script.on.message = [&](Client& client, const mqtt::Publish& publish) {
    script.said.push_back("message " + std::string(publish.payload));
    client.set_reading(false);
  };
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  const net::Fd peer = script.greet(kConnackBytes);
  script.write(peer, std::string("\x30\x05\x00\x01t\x00x", 7));
  ASSERT_TRUE(script.until([&] { return script.said.size() == 2; }));
  script.write(peer, std::string("\x30\x05\x00\x01t\x00y", 7));
  for (int turn = 0; turn < 20; ++turn) script.loop->run_once(0);
  EXPECT_THAT(script.said, ElementsAre("connected", "message x"));
  client.set_reading(true);
  ASSERT_TRUE(script.until([&] { return script.said.size() == 3; }));
  EXPECT_EQ(script.said.back(), "message y");
}

TEST(Client, CloseFromWithinAHookAnswersWhatWasDelivered) {
  Script script;
  script.on.message = [&](Client& client, const mqtt::Publish&) { client.close(); };
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes + std::string("\x32\x07\x00\x01t\x00\x09\x00x", 9));
  EXPECT_EQ(script.read(peer, 6), std::string("\x40\x02\x00\x09\xe0\x00", 6));
  peer.reset();
  ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  EXPECT_THAT(script.said, ElementsAre("connected", "closed"));
}

TEST(Client, APacketInManyPiecesIsPutTogether) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet("");
  for (char c : kConnackBytes + std::string("\x30\x05\x00\x01t\x00x", 7)) {
    script.write(peer, std::string(1, c));
    script.loop->run_once(1'000'000);
  }
  ASSERT_TRUE(script.until([&] { return script.said.size() == 2; }));
  EXPECT_THAT(script.said, ElementsAre("connected", "message x"));
}

TEST(Client, ViolationIsAnsweredBeforeTheConnectionEnds) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint(), .reconnect = false}, script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.greet(kConnackBytes + std::string("\x36\x00", 2));
  EXPECT_EQ(script.read(peer, SIZE_MAX), std::string("\xe0\x01\x81", 3));
  EXPECT_THAT(script.said, ElementsAre("connected", "disconnected the server broke the protocol"));
}

TEST(Client, ServerThatHangsUpInsteadOfConnackIsARefusal) {
  Script script;
  Client client(*script.loop, {.server = script.server.endpoint(), .reconnect = false}, script.on);
  ASSERT_TRUE(client.open());
  {
    net::Fd peer = script.accept();
    script.read(peer, 2);
  }
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::refused);
  EXPECT_THAT(script.ending->message, HasSubstr("without answering CONNECT"));
}

TEST(Client, SilentServerTimesOut) {
  Script script;
  auto options = std::make_shared<ConnectOptions>();
  options->connect_timeout_ms = 50;
  Client client(*script.loop, {.server = script.server.endpoint(), .connect = options, .reconnect = false},
                script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.accept();
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::timed_out);
}

TEST(Client, PostedWorkRunsOnTheLoopAndMayDestroyAClient) {
  Script script;
  auto client =
      std::make_unique<Client>(*script.loop, ClientSetup{.server = script.server.endpoint()}, script.on);
  ASSERT_TRUE(client->open());
  script.on.connected = [&](Client&, const mqtt::Connack&, bool) {
    script.loop->post([&] { client.reset(); });
  };
  net::Fd peer = script.greet(kConnackBytes);
  ASSERT_TRUE(script.until([&] { return client == nullptr; }));
  std::thread other([&] { script.loop->post([&] { script.loop->stop(); }); });
  script.loop->run();
  other.join();
  EXPECT_TRUE(script.loop->stopped());
}

TEST(Client, AnIdleClientIsSmall) {
  EXPECT_LE(sizeof(Client), 600u);
}

TEST(Client, ItsReconnectsFollowFromASeed) {
  const auto delays = [](uint64_t seed) {
    Script script;
    std::vector<int64_t> waited;
    script.on.disconnected = [&](Client&, const Ending&, std::optional<int64_t> retry_in_ms) {
      waited.push_back(retry_in_ms.value_or(-1));
    };
    const auto endpoint = script.server.endpoint();
    script.server.stop();
    Client client(*script.loop, {.server = endpoint, .backoff = {.first_ms = 8, .max_ms = 8, .seed = seed}},
                  script.on);
    EXPECT_TRUE(client.open());
    EXPECT_TRUE(script.until([&] { return waited.size() >= 6; }));
    waited.resize(6);
    return waited;
  };
  EXPECT_EQ(delays(5), delays(5));
  EXPECT_NE(delays(5), delays(7));
}

TEST(Backoff, GrowsToItsMaximumAndIsFullyJittered) {
  Random random(1);
  const Backoff backoff{.first_ms = 100, .max_ms = 1'000};
  MonoNs greatest = 0, least = kPatience;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_LE(backoff_delay(backoff, 0, random), 100'000'000);
    const MonoNs late = backoff_delay(backoff, 60'000, random);
    greatest = std::max(greatest, late);
    least = std::min(least, late);
  }
  EXPECT_LE(greatest, 1'000'000'000);
  EXPECT_GT(greatest, 950'000'000);
  EXPECT_LT(least, 50'000'000);
}

}  // namespace
}  // namespace courier::client
