// TLS and WebSocket at the front door, as settings, files and hostile peers have it. That everything else
// works through them: all other chapters with COURIER_TRANSPORT.
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>

#include "harness/client.h"
#include "net/proxy_header.h"
#include "net/stacked_transport.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_test_authority.h"
#include "net/websocket/frame.h"
#include "net/websocket/websocket_transport.h"

namespace courier::scenario {
namespace {

using net::tls::TestAuthority;
using net::tls::TestCertificate;
using net::tls::TestFolder;

// A broker with one more listener, on extra_port(), whose lines a test gives. {tls} becomes its certificate.
struct Door {
  TestFolder folder;
  TestAuthority authority{"Door CA"};
  std::string ca = folder.write("ca.pem", authority.certificate());
  std::string certificate = folder.path("server.pem"), key = folder.path("server.key");
  std::optional<Broker> broker;

  explicit Door(std::string lines, std::string auth = "allow_anonymous = true\n",
                std::map<std::string, std::string> files = {}) {
    serve({.common_name = "localhost", .dns = {"localhost", "a.example"}});
    const std::string tls = "tls_certificates = [\"" + certificate + "\"]\ntls_keys = [\"" + key +
                            "\"]\ntls_client_ca_file = \"" + ca + "\"\n";
    if (const size_t at = lines.find("{tls}"); at != std::string::npos) lines.replace(at, 5, tls);
    broker.emplace(
        BrokerOptions{.toml = "[[listener]]\nname = \"door\"\nbind = \"127.0.0.1:{port}\"\n" + lines,
                      .auth_toml = "[auth]\n" + auth,
                      .files = std::move(files)});
  }
  // The certificate that the broker has from its next reload on.
  void serve(const net::tls::TestRequest& request) {
    const TestCertificate made = authority.issue(request);
    folder.write("server.pem", made.certificate);
    folder.write("server.key", made.key);
  }
  uint16_t port() const { return broker->extra_port(); }

  std::shared_ptr<net::tls::TlsClient> tls(const TestCertificate* own = nullptr,
                                           std::vector<std::string> alpn = {"mqtt"}) {
    net::tls::ClientOptions options{.ca_file = ca, .alpn = std::move(alpn)};
    if (own) {
      options.certificate = folder.write("own.pem", own->certificate);
      options.key = folder.write("own.key", own->key);
    }
    auto client = net::tls::TlsClient::load(std::move(options));
    if (!client) throw Broken(client.error().message);
    return *client;
  }
  Client open(const TestCertificate* own = nullptr) {
    return Client::open(port(), tls(own)->connect("localhost"));
  }
};

std::unique_ptr<net::Transport> websocket(const std::string& path = "/mqtt", const std::string& origin = {}) {
  net::websocket::ClientOptions options{.host = "localhost", .path = path};
  if (!origin.empty()) options.headers = {{"Origin", origin}};
  return net::websocket::WebSocketTransport::client(
      std::make_shared<const net::websocket::ClientOptions>(std::move(options)));
}

}  // namespace

// The name in a verified certificate is the user name, and rules speak of it.
TEST(Tls, CertificateSaysWhoTheClientIs) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}tls_client_certificates = \"required\"\n",
            "certificate_username = \"{cn}\"\nallow_anonymous = true\nacl_file = \"{dir}/acl\"\n",
            {{"acl", "user phone-17\ntopic readwrite orders/17/#\n"}});
  const TestCertificate own = door.authority.issue({.common_name = "phone-17"});
  Client phone = door.open(&own);
  EXPECT_EQ(phone.handshake({.client_id = "a", .username = "somebody-else"}).reason, 0);
  EXPECT_EQ(phone.subscribe({{"orders/17/new", 1}, {"orders/18/new", 1}}).reasons,
            (std::vector<uint8_t>{1, 0x87}));
  phone.disconnect();
  door.broker->expect_in_log("username=phone-17");
}

// Without a certificate, with one of somebody else's, with one that is over: none gets as far as a CONNECT.
TEST(Tls, BadCertificatesOfClientsAreRefused) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}tls_client_certificates = \"required\"\n");
  const TestAuthority stranger("Stranger CA");
  const TestCertificate foreign = stranger.issue({.common_name = "phone-17"});
  const TestCertificate over =
      door.authority.issue({.common_name = "phone-17", .valid_from = -20, .valid_until = -10});
  for (const TestCertificate* own : {static_cast<const TestCertificate*>(nullptr), &foreign, &over}) {
    EXPECT_THROW(
        {
          // TLS 1.3: the client's end is open before the server has looked at its certificate.
          Client client = door.open(own);
          client.handshake({.client_id = "refused"});
        },
        Broken);
  }
  for (const char* reason : {"no_certificate", "unknown_ca", "expired_certificate"}) {
    door.broker->expect_in_log("reason=" + std::string(reason));
    EXPECT_EQ(door.broker->metric("courier_transport_errors_total{listener=\"door\",reason=\"" +
                                  std::string(reason) + "\"}"),
              1)
        << reason;
  }
}

// SIGHUP serves a new certificate to those who come, and drops nobody; one that cannot be used changes
// nothing.
TEST(Tls, NewCertificatesHoldWithoutDroppingAnybody) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}");
  Client old = door.open();
  old.handshake({.client_id = "old"});
  const auto client = door.tls();
  const auto comes_in_as = [&](const std::string& name) {
    try {
      Client fresh = Client::open(door.port(), door.tls()->connect(name));
      return fresh.handshake({.client_id = "fresh"}).reason == 0;
    } catch (const Broken&) {
      return false;
    }
  };
  EXPECT_TRUE(comes_in_as("a.example"));
  door.serve({.common_name = "b.example", .dns = {"b.example"}});
  door.broker->signal(SIGHUP);
  door.broker->expect_in_every_log("names=b.example");
  EXPECT_TRUE(comes_in_as("b.example"));
  EXPECT_FALSE(comes_in_as("a.example"));
  door.folder.write("server.key", "rubbish");
  door.broker->signal(SIGHUP);
  door.broker->expect_in_every_log("nothing was taken over");
  EXPECT_TRUE(comes_in_as("b.example"));
  old.ping();
}

TEST(Tls, WhoSpeaksSomethingElseIsToldAndCounted) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}");
  Client http = Client::open(door.port());
  http.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = http.read_to_end();
  EXPECT_NE(answer.find("400"), std::string::npos) << answer;
  Client plain = Client::open(door.port());
  plain.send(connect_packet({.client_id = "plain"}));
  plain.read_to_end();
  door.broker->expect_in_log("reason=not_tls");
}

// Half a handshake, and bytes one by one, end with the connect timeout.
TEST(Tls, UnfinishedHandshakesEndInTime) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}[limits]\nconnect_timeout = \"300ms\"\n");
  Client silent = Client::open(door.port());
  std::string hello;
  const auto transport = door.tls()->connect("localhost");
  transport->start(hello);
  Client slow = Client::open(door.port());
  slow.send(hello.substr(0, hello.size() / 2));
  Client stuck = Client::open(door.port());
  stuck.send(hello);  // and never the rest
  for (Client* client : {&silent, &slow, &stuck}) client->read_to_end();
  door.broker->expect_in_log("no CONNECT in time");
}

// A balancer's PROXY header stands before TLS and WebSocket, however the bytes are cut.
TEST(Tls, ProxyHeaderComesBeforeIt) {
  COURIER_ONLY();
  Door door("protocol = \"wss\"\nproxy_protocol = \"required\"\n{tls}");
  net::ProxyHeader header;
  header.source = *net::SocketAddress::parse("192.0.2.7:51234");
  header.destination = *net::SocketAddress::parse("192.0.2.1:443");
  for (const std::string& bytes : {net::encode_proxy_v2(header), net::encode_proxy_v1(header)}) {
    for (const size_t piece : {size_t{1}, bytes.size()}) {
      Client client = Client::open(door.port());
      for (size_t at = 0; at < bytes.size(); at += piece) client.send(bytes.substr(at, piece));
      client.begin(std::make_unique<net::StackedTransport>(
          door.tls(nullptr, {"http/1.1"})->connect("localhost"), websocket()));
      EXPECT_EQ(client.handshake({.client_id = unique("behind")}).reason, 0);
      client.disconnect();
      door.broker->expect_in_log("client_id=" + client.id() + " username=\"\" peer=192.0.2.7:51234");
    }
  }
}

// What a balancer says of the certificate that it verified counts where its header does.
TEST(Tls, CertificateMayComeFromTheBalancer) {
  COURIER_ONLY();
  Door door("proxy_protocol = \"required\"\n", "certificate_username = \"{cn}\"\n");
  net::ProxyHeader header;
  header.source = *net::SocketAddress::parse("192.0.2.7:51234");
  header.destination = *net::SocketAddress::parse("192.0.2.1:443");
  for (const bool verified : {true, false}) {
    header.tls = {.over_tls = true,
                  .certificate_this_connection = true,
                  .verified = verified,
                  .version = "TLSv1.3",
                  .common_name = "phone-17"};
    Client client = Client::open(door.port());
    client.send(net::encode_proxy_v2(header));
    EXPECT_EQ(client.handshake({.client_id = unique("cn")}).reason, verified ? 0 : 0x87);
  }
  door.broker->expect_in_log("username=phone-17");
}

TEST(WebSocket, OnlyItsPathItsPagesAndItsSubprotocolComeIn) {
  COURIER_ONLY();
  Door door(
      "protocol = \"ws\"\nwebsocket_path = \"/phones\"\nwebsocket_origins = [\"https://*.example.com\"]\n");
  const auto comes_in = [&](const std::string& path, const std::string& origin) {
    try {
      Client client = Client::open(door.port(), websocket(path, origin));
      return client.handshake({.client_id = unique("page")}).reason == 0;
    } catch (const Broken&) {
      return false;
    }
  };
  EXPECT_TRUE(comes_in("/phones", ""));
  EXPECT_TRUE(comes_in("/phones", "https://app.example.com"));
  EXPECT_FALSE(comes_in("/mqtt", ""));
  EXPECT_FALSE(comes_in("/phones", "https://app.example.org"));
  EXPECT_FALSE(comes_in("/phones", "http://app.example.com"));
  for (const char* reason : {"not_found", "origin_forbidden"}) {
    door.broker->expect_in_log("reason=" + std::string(reason));
  }
}

// Frames by hand, behind an upgrade by hand.
class Raw {
 public:
  explicit Raw(uint16_t port) : client_(Client::open(port)) {
    client_.send(
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: chat, mqtt\r\n\r\n");
  }
  static std::string frame(net::websocket::Opcode opcode, std::string payload) {
    std::string bytes;
    net::websocket::append_frame_header(opcode, payload.size(), net::websocket::Mask{0x01020304}, bytes);
    net::websocket::apply_mask(payload, net::websocket::Mask{0x01020304});
    return bytes + payload;
  }
  void send(net::websocket::Opcode opcode, const std::string& payload) {
    client_.send(frame(opcode, payload));
  }
  void send(const std::string& frames) { client_.send(frames); }
  std::string all() { return client_.read_to_end(); }

 private:
  Client client_;
};

// [MQTT-6.0.0-2], [MQTT3-6.0.0-2]: packets and frames need not begin together. [MQTT-6.0.0-4],
// [MQTT3-6.0.0-4]: the answer names the subprotocol mqtt, here among others.
TEST(WebSocket, PacketsNeedNotAlignWithFrames) {
  COURIER_ONLY();
  Door door("protocol = \"ws\"\n");
  const std::string packets = connect_packet({.version = v3_1_1, .client_id = "cut"}) + pingreq_packet() +
                              pingreq_packet() + frame(0xE0, "");
  for (const size_t piece : {size_t{1}, size_t{3}, packets.size()}) {
    Raw raw(door.port());
    for (size_t at = 0; at < packets.size(); at += piece) {
      raw.send(net::websocket::Opcode::binary, packets.substr(at, piece));
    }
    const std::string answer = raw.all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101")) << answer;
    EXPECT_NE(answer.find("Sec-WebSocket-Protocol: mqtt\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << answer;
    // CONNACK and two PINGRESPs, in as many frames as there were Turns.
    const std::string frames = answer.substr(answer.find("\r\n\r\n") + 4);
    EXPECT_EQ(std::ranges::count(frames, '\xD0'), 2) << piece;
    EXPECT_NE(frames.find(std::string("\x20\x02\x00\x00", 4)), std::string::npos);
  }
}

// [MQTT-6.0.0-1], [MQTT3-6.0.0-1]: a text frame ends the connection, with the status that says why.
TEST(WebSocket, TextFramesEndTheConnection) {
  COURIER_ONLY();
  Door door("protocol = \"ws\"\n");
  Raw raw(door.port());
  raw.send(net::websocket::Opcode::text, connect_packet({.version = v3_1_1, .client_id = "text"}));
  const std::string answer = raw.all();
  EXPECT_NE(answer.find(std::string("\x03\xEB", 2)), std::string::npos);  // 1003
  door.broker->expect_in_log("reason=text_frame");
}

// What came before the peer's goodbye counts, though all of it came at once and CONNECT had to wait.
TEST(WebSocket, WhatComesBeforeTheGoodbyeIsWorkedOff) {
  COURIER_ONLY();
  Door door("protocol = \"ws\"\n");
  Client watcher({}, door.broker->port());
  watcher.subscribe("#", 1);
  Connect connect{.version = v3_1_1, .client_id = "hasty"};
  connect.will = Will{.topic = "will", .payload = "must not come"};
  Raw raw(door.port());
  raw.send(Raw::frame(net::websocket::Opcode::binary,
                      connect_packet(connect) + publish_packet(v3_1_1, {.topic = "a", .payload = "said"}) +
                          frame(0xE0, "")) +
           Raw::frame(net::websocket::Opcode::close, std::string("\x03\xE8", 2)));
  watcher.message("said");
  door.broker->expect_in_log("cause=client_disconnect");
  watcher.expect_nothing_but_marker(watcher);
}

// Each ping is answered; who never reads the answers does not fill the memory with them.
TEST(WebSocket, PingsWithoutEndAreNotAnsweredWithoutEnd) {
  COURIER_ONLY();
  Door door("protocol = \"ws\"\n");
  Raw raw(door.port());
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Raw::frame(net::websocket::Opcode::ping, std::string(125, 'p'));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (door.broker->log().find("too many answers are unread") == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    raw.send(pings);
  }
}

// Where certificates say who somebody is, nobody is let in under a name that was not checked.
TEST(Tls, WhoShowsNoCertificateHasNoName) {
  COURIER_ONLY();
  Door door("protocol = \"mqtts\"\n{tls}tls_client_certificates = \"optional\"\n",
            "certificate_username = \"{cn}\"\nallow_anonymous = true\n");
  const TestCertificate own = door.authority.issue({.common_name = "alice"});
  Connect stored = persistent(v5, "hers");
  Client alice = door.open(&own);
  EXPECT_EQ(alice.handshake(stored).reason, 0);
  for (const char* name : {"alice", "mallory"}) {
    stored.username = name;
    Client thief = door.open();
    EXPECT_EQ(thief.handshake(stored).reason, 0x86);
  }
  stored.username = std::nullopt;
  Client nobody = door.open();
  EXPECT_EQ(nobody.handshake(stored).reason, 0x85);
  Client other = door.open();
  EXPECT_EQ(other.handshake({.client_id = "other"}).reason, 0);
  alice.ping();
}

// A listener that could not work is refused at the start, with what to do about it.
TEST(Tls, SettingsThatCannotWorkAreRefusedAtTheStart) {
  COURIER_ONLY();
  const auto why = [](const std::string& lines) -> std::string {
    try {
      Door door(lines);
      return "it runs";
    } catch (const Broken& broken) {
      return broken.what();
    }
  };
  const auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_PRED2(has, why("protocol = \"mqtts\"\n"), "tls_certificates");
  EXPECT_PRED2(has, why("{tls}"), "protocol = \"mqtts\"");
  EXPECT_PRED2(has, why("protocol = \"mqtts\"\ntls_certificates = [\"/nowhere.pem\"]\n"), "/nowhere.pem");
  EXPECT_PRED2(has, why("protocol = \"ws\"\nwebsocket_origins = [\"https://a/b\"]\n"), "https://a/b");
  EXPECT_PRED2(has, why("protocol = \"mqtts\"\ntls_certificates = [\"a\", \"b\"]\ntls_keys = [\"a\"]\n"),
               "tls_keys has not as many");
}

}  // namespace courier::scenario
