// Clients whose bytes go through TLS, WebSocket or both, on real sockets. The server's end of the transport
// is the one that listeners use; what it carries, the test plays by hand. Peers that break the rules are raw
// sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <utility>

#include "client/client.h"
#include "client/errc.h"
#include "client/limits.h"
#include "client/scheme.h"
#include "client/scripted_server.h"
#include "net/stacked_transport.h"
#include "net/tls/errc.h"
#include "net/tls/tls_test_bed.h"
#include "net/websocket/errc.h"
#include "net/websocket/websocket_transport.h"

namespace courier::client {
namespace {

using net::TransportState;
using net::tls::TlsTestBed;
using net::websocket::WebSocketTransport;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kName = "broker.example";
const std::string kMessage("\x30\x05\x00\x01t\x00x", 7);

// A listener's side: makes both ends.
struct Layers {
  bool tls = false, websocket = false;
  TlsTestBed bed;
  std::shared_ptr<net::tls::TlsClient> tls_client;

  explicit Layers(const std::string& scheme)
      : tls(scheme == "mqtts" || scheme == "wss"), websocket(scheme == "ws" || scheme == "wss") {}

  TransportMaker maker(const std::string& name = kName) {
    if (tls && !tls_client) tls_client = bed.load_client();
    return [this, name]() -> std::unique_ptr<net::Transport> {
      net::websocket::ClientOptions options;
      options.host = name;
      auto upper =
          websocket
              ? WebSocketTransport::client(std::make_shared<const net::websocket::ClientOptions>(options))
              : nullptr;
      return stacked(tls ? tls_client->connect(name) : nullptr, std::move(upper));
    };
  }
  std::unique_ptr<net::Transport> server_end() {
    if (tls && !tls_server) tls_server = bed.load_server();
    net::websocket::ServerOptions options;
    options.frames.frame_bytes_max = kTransportUnitBytesMax;
    auto upper =
        websocket ? WebSocketTransport::server(std::make_shared<const net::websocket::ServerOptions>(options))
                  : nullptr;
    return stacked(tls ? tls_server->accept(TlsTestBed::now()) : nullptr, std::move(upper));
  }

 private:
  static std::unique_ptr<net::Transport> stacked(std::unique_ptr<net::Transport> lower,
                                                 std::unique_ptr<net::Transport> upper) {
    if (!lower) return upper;
    if (!upper) return lower;
    return std::make_unique<net::StackedTransport>(std::move(lower), std::move(upper));
  }

  std::shared_ptr<const net::tls::TlsServer> tls_server;
};

// The server's end of one connection: a blocking socket, read when asked.
struct Far {
  net::Fd fd;
  std::unique_ptr<net::Transport> transport;
  TransportState state = TransportState::opening;
  std::string plain, out;
  std::string failed;    // the transport's error, as a word
  bool hung_up = false;  // the client did

  // Takes what is there, and sends what there is to say to it, but for `keep_out`, which stays in `out`.
  void turn(bool keep_out = false) {
    char room[65'536];
    const ssize_t n = ::recv(fd.get(), room, sizeof room, MSG_DONTWAIT);
    if (n == 0) hung_up = true;
    if (n > 0 && failed.empty()) {
      const auto result = transport->receive({room, static_cast<size_t>(n)}, plain, out);
      if (result) {
        state = *result;
      } else {
        failed = result.error().code.message();
      }
    }
    if (!keep_out) flush();
  }
  void say(std::string_view bytes) {
    ASSERT_TRUE(transport->send(bytes, out));
    flush();
  }
  void flush() {
    const std::string bytes = std::exchange(out, {});
    if (!bytes.empty()) {
      ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(bytes.size()));
    }
  }
};

struct Wrapped : Script {
  Layers layers;
  Callbacks quiet;

  explicit Wrapped(const std::string& scheme) : layers(scheme) {}

  ClientSetup setup(bool reconnect = false) {
    return {.server = server.endpoint(),
            .client_id = "c",
            .reconnect = reconnect,
            .backoff = {1, 2},
            .transport = layers.maker()};
  }
  Far far() { return {.fd = accept(), .transport = layers.server_end()}; }
  // Until CONNECT has come, and CONNACK was taken.
  Far greet(Client& client) {
    Far made = far();
    EXPECT_TRUE(until([&] {
      made.turn();
      return made.plain.size() > 2;
    }));
    EXPECT_EQ(made.plain[0], '\x10');
    made.plain.clear();
    made.say(kConnackBytes);
    EXPECT_TRUE(until([&] { return client.online(); }));
    return made;
  }
  testing::AssertionResult comes(Far& end, std::string_view bytes) {
    return until([&] {
      end.turn();
      return end.plain == bytes;
    });
  }
};

class Transports : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Of, Transports, testing::Values("mqtts", "ws", "wss"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Transports, CarryBothWaysAndSayGoodbye) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.greet(client);
  EXPECT_EQ(client.tls().has_value(), script.layers.tls);
  end.say(kMessage);
  ASSERT_TRUE(script.until([&] { return script.said.size() == 2; }));
  ASSERT_TRUE(client.publish({.topic = "a", .payload = "b"}));
  ASSERT_TRUE(script.comes(end, std::string("\x30\x05\x00\x01"
                                            "a\x00"
                                            "b",
                                            7)));
  end.plain.clear();
  client.close();
  ASSERT_TRUE(script.until([&] {
    end.turn();
    return end.hung_up;
  }));
  EXPECT_EQ(end.plain, std::string("\xe0\x00", 2));
  EXPECT_EQ(end.state, TransportState::ended);
  EXPECT_EQ(end.failed, "");
  end.fd.reset();
  ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  EXPECT_THAT(script.said, ElementsAre("connected", "message x", "closed"));
}

TEST_P(Transports, ComeInPiecesOfOneByte) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.far();
  std::string waiting;
  bool greeted = false;
  ASSERT_TRUE(script.until([&] {
    end.turn(true);
    waiting += std::exchange(end.out, {});
    if (!greeted && end.plain.size() > 2) {
      greeted = true;
      EXPECT_TRUE(end.transport->send(kConnackBytes + kMessage, waiting));
    }
    while (!waiting.empty()) {
      script.write(end.fd, waiting.substr(0, 1));
      waiting.erase(0, 1);
      script.loop->run_once(0);
    }
    return script.said.size() == 2;
  }));
  EXPECT_THAT(script.said, ElementsAre("connected", "message x"));
}

// Wherever the server's bytes end, the client says that there is no connection, and never believes in one.
TEST_P(Transports, CutAtEveryByteAreAnEnding) {
  Wrapped script(GetParam());
  script.layers.bed.client.resume = false;  // a resumed handshake is shorter
  bool whole = false;
  bool handshaken = false;
  for (size_t cut = 0; !whole; ++cut) {
    script.ending.reset();
    script.said.clear();
    Client client(*script.loop, script.setup(), script.on);
    ASSERT_TRUE(client.open());
    Far end = script.far();
    size_t left = cut;
    ASSERT_TRUE(script.until([&] {
      if (!end.fd) return script.ending.has_value() || client.online();
      end.turn(true);
      if (end.plain.size() > 2) {
        whole = true;  // if CONNACK goes out whole too
        end.plain.clear();
        EXPECT_TRUE(end.transport->send(kConnackBytes, end.out));
      }
      if (end.out.size() >= left && !(whole && end.out.size() == left)) {
        end.out.resize(left);
        whole = false;
        end.flush();
        end.fd.reset();
        return false;
      }
      left -= end.out.size();
      end.flush();
      return script.ending.has_value() || client.online();
    })) << cut;
    if (client.online()) {
      EXPECT_TRUE(whole) << cut;
      break;
    }
    ASSERT_FALSE(whole) << cut;
    ASSERT_THAT(script.ending->code,
                AnyOf(make_error_code(errc::cannot_connect), make_error_code(errc::refused),
                      make_error_code(errc::connection_lost)))
        << cut;
    if (script.ending->code != errc::cannot_connect) handshaken = true;
  }
  EXPECT_TRUE(handshaken);
}

TEST_P(Transports, AreMadeAnewForEachConnection) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(true), script.on);
  ASSERT_TRUE(client.open());
  Far first = script.greet(client);
  if (script.layers.tls) {
    EXPECT_FALSE(client.tls()->resumed);
  }
  first.fd.reset();
  Far second = script.greet(client);
  if (script.layers.tls) {
    EXPECT_TRUE(client.tls()->resumed);
  }
  EXPECT_THAT(script.said, ElementsAre("connected", "disconnected connection lost", "connected"));
}

TEST_P(Transports, ComeAfterThePreamble) {
  Wrapped script(GetParam());
  ClientSetup setup = script.setup();
  setup.preamble = "PROXY UNKNOWN\r\n";
  Client client(*script.loop, std::move(setup), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.far();
  std::string line;
  ASSERT_TRUE(script.until([&] {
    char c = 0;
    while (line.size() < 15 && ::recv(end.fd.get(), &c, 1, MSG_DONTWAIT) == 1) line += c;
    return line.size() == 15;
  }));
  EXPECT_EQ(line, "PROXY UNKNOWN\r\n");
  ASSERT_TRUE(script.until([&] {
    end.turn();
    return end.plain.starts_with('\x10');
  }));
}

TEST_P(Transports, EndWithTheServersGoodbyeAndItsLastWord) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.greet(client);
  ASSERT_TRUE(end.transport->send(std::string("\xe0\x01\x8b", 3), end.out));
  end.transport->close(net::CloseReason::going_away, end.out);
  end.flush();
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->reason, ReasonCode::server_shutting_down);

  ASSERT_TRUE(client.open());
  script.ending.reset();
  Far again = script.greet(client);
  again.transport->close(net::CloseReason::going_away, again.out);
  again.flush();
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::connection_lost);
  EXPECT_THAT(script.ending->message, HasSubstr("closed the connection"));
}

// The server takes no frame beyond a unit.
TEST_P(Transports, CarryLargePacketsInUnits) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.greet(client);
  const std::string payload(1'000'000, 'x');
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(client.publish({.topic = "t", .payload = payload}));
  }
  const size_t packet = 1 + 3 + 2 + 1 + 1 + payload.size();
  ASSERT_TRUE(script.until([&] {
    end.turn();
    return end.plain.size() == 4 * packet || !end.failed.empty();
  }));
  EXPECT_EQ(end.failed, "");
  EXPECT_EQ(client.output_bytes(), 0u);
}

TEST_P(Transports, SilenceInTheHandshakeTimesOut) {
  Wrapped script(GetParam());
  auto options = std::make_shared<ConnectOptions>();
  options->connect_timeout_ms = 50;
  ClientSetup setup = script.setup();
  setup.connect = options;
  Client client(*script.loop, std::move(setup), script.on);
  ASSERT_TRUE(client.open());
  const net::Fd peer = script.accept();
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::timed_out);
  EXPECT_THAT(script.ending->message, HasSubstr("handshake"));
}

TEST_P(Transports, APeerThatHangsUpOnTheHandshakeIsNoConnection) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.accept();
  script.read(peer, 20);
  ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::cannot_connect);
  EXPECT_THAT(script.ending->message, HasSubstr("during the handshake"));
}

TEST_P(Transports, APeerThatSpeaksPlainMqttIsNoConnection) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  net::Fd peer = script.accept();
  script.read(peer, 20);
  script.write(peer, kConnackBytes + "\r\n\r\n");
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::cannot_connect);
  EXPECT_TRUE(script.ending->cause);
  EXPECT_THAT(script.ending->message,
              StartsWith("cannot connect to " + script.server.endpoint()->name + ": "));
}

TEST_P(Transports, CloseAndCutWork) {
  Wrapped script(GetParam());
  Client client(*script.loop, script.setup(), script.on);
  for (const bool closes : {false, true}) {
    ASSERT_TRUE(client.open());
    const net::Fd peer = script.accept();
    script.read(peer, 20);
    ASSERT_EQ(client.state(), Client::State::handshaking);
    closes ? client.close() : client.cut();
    ASSERT_TRUE(script.until([&] { return client.state() == Client::State::closed; }));
  }
  EXPECT_THAT(script.said, ElementsAre("closed"));
}

struct BadCertificate {
  const char* what;
  net::tls::errc cause;
  const char* words;
};

TEST(Certificates, ThatAreBadAreFinalAndSayWhy) {
  using net::tls::errc;
  const BadCertificate cases[] = {
      {"unknown", errc::unknown_ca, "not of a certificate authority that is trusted here"},
      {"name", errc::wrong_name, "is for another name"},
      {"expired", errc::expired_certificate, "is not valid at this time"},
  };
  for (const BadCertificate& each : cases) {
    Wrapped script("mqtts");
    TlsTestBed& bed = script.layers.bed;
    const net::tls::TestAuthority other("Other CA");
    const std::string what = each.what;
    const auto& issuer = what == "unknown" ? other : bed.authority;
    net::tls::TestRequest request{.common_name = "broker",
                                  .dns = {what == "name" ? "elsewhere.example" : kName}};
    const auto good = issuer.issue(request);
    bed.server.certificates = {bed.files("own", good)};
    ClientSetup setup = script.setup();
    // A second address, which is not tried.
    setup.server = std::make_shared<const Endpoint>(
        Endpoint{"broker.example:8883", {script.server.address(), script.server.address()}});
    Client client(*script.loop, std::move(setup), script.on);
    ASSERT_TRUE(client.open());
    Far end = script.far();
    if (what == "expired") {
      // A server does not load one; another that has become so is shown by a connection made of OpenSSL's
      // alone.
      request.valid_until = -net::tls::kTestHour;
      const auto old = issuer.issue(request);
      const std::string chain = bed.folder.write("old.pem", old.certificate);
      const std::string key = bed.folder.write("old.key", old.key);
      auto* ssl = static_cast<net::tls::TlsTransport&>(*end.transport).ssl();
      ASSERT_EQ(SSL_use_certificate_file(ssl, chain.c_str(), SSL_FILETYPE_PEM), 1);
      ASSERT_EQ(SSL_use_PrivateKey_file(ssl, key.c_str(), SSL_FILETYPE_PEM), 1);
    }
    ASSERT_TRUE(script.until([&] {
      end.turn();
      return script.ending.has_value();
    }));
    EXPECT_EQ(script.ending->code, client::errc::cannot_connect);
    EXPECT_EQ(script.ending->cause, each.cause) << script.ending->message;
    EXPECT_THAT(script.ending->message, StartsWith("cannot connect to broker.example:8883: "));
    EXPECT_THAT(script.ending->message, HasSubstr(each.words));
    ASSERT_TRUE(script.until([&] {
      end.turn();
      return !end.failed.empty();
    }));
    EXPECT_EQ(end.failed, "refused_by_peer");  // it hears why
    EXPECT_FALSE(script.server.pending());
  }
}

TEST(Certificates, InsecureBelievesAnybody) {
  Wrapped script("mqtts");
  const net::tls::TestAuthority other("Other CA");
  script.layers.bed.server.certificates = {
      script.layers.bed.files("own", other.issue({.common_name = "x", .dns = {"elsewhere.example"}}))};
  script.layers.bed.client.insecure = true;
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  script.greet(client);
  EXPECT_THAT(script.said, ElementsAre("connected"));
}

// In TLS 1.3 the client has long said CONNECT when it hears that.
TEST(Certificates, AServerThatWantsOneSaysSoWithAnAlert) {
  Wrapped script("mqtts");
  script.layers.bed.ask_for_certificates(net::tls::ClientCertificates::required);
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.far();
  ASSERT_TRUE(script.until([&] {
    end.turn();
    return script.ending.has_value();
  }));
  EXPECT_EQ(script.ending->cause, net::tls::errc::refused_by_peer);
  EXPECT_THAT(script.ending->message, HasSubstr("certificate required"));
}

TEST(WebSocketClient, ARefusedUpgradeSaysWhy) {
  Wrapped script("ws");
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  const net::Fd peer = script.accept();
  EXPECT_THAT(script.read(peer, 20), StartsWith("GET /mqtt HTTP/1.1\r\n"));
  script.write(peer, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::cannot_connect);
  EXPECT_EQ(script.ending->cause, net::websocket::errc::upgrade_refused);
  EXPECT_THAT(script.ending->message, HasSubstr("404"));
}

TEST(WebSocketClient, FramesThatBreakTheRulesEndTheConnectionAndTheServerHearsWhy) {
  Wrapped script("ws");
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.greet(client);
  script.write(end.fd, std::string("\x81\x01x", 3));  // text
  ASSERT_TRUE(script.until([&] { return script.ending.has_value(); }));
  EXPECT_EQ(script.ending->code, errc::connection_lost);
  EXPECT_EQ(script.ending->cause, net::websocket::errc::text_frame);
  ASSERT_TRUE(script.until([&] {
    end.turn();
    return end.hung_up;
  }));
  EXPECT_EQ(end.state, TransportState::ended);  // by a close frame
}

TEST(WebSocketClient, APeerThatAsksWithoutReadingIsGivenUp) {
  Wrapped script("ws");
  Client client(*script.loop, script.setup(), script.on);
  ASSERT_TRUE(client.open());
  Far end = script.greet(client);
  std::string pings;
  while (pings.size() < 60'000) pings += "\x89\x7d" + std::string(125, 'p');
  size_t most = 0;
  ASSERT_TRUE(script.until([&] {
    // What does not fit now, goes in the next turn; the cut is between frames or not, nobody cares here.
    const ssize_t n = ::send(end.fd.get(), pings.data(), pings.size(), MSG_NOSIGNAL);
    if (n < static_cast<ssize_t>(pings.size()) && n != -1) return true;
    script.loop->run_once(0);
    most = std::max(most, client.output_bytes());
    return script.ending.has_value();
  }));
  ASSERT_TRUE(script.ending.has_value());
  EXPECT_THAT(script.ending->message, HasSubstr("does not read"));
  EXPECT_GT(most, kOutputBytesMax / 2);
  EXPECT_LE(most, kOutputBytesMax + 1024 * 1024);
}

TEST(Schemes, HaveNamesAndPorts) {
  for (const auto& [word, port] : {std::pair{"mqtt", 1883}, {"mqtts", 8883}, {"ws", 80}, {"wss", 443}}) {
    ASSERT_TRUE(scheme_of(word));
    EXPECT_EQ(default_port(*scheme_of(word)), port);
    EXPECT_EQ(name(*scheme_of(word)), word);
  }
  EXPECT_FALSE(scheme_of("http"));
}

}  // namespace
}  // namespace courier::client
