// In by a certificate that is not good, or by what a balancer is made to say: mTLS and the PROXY protocol.
#include <gtest/gtest.h>

#include "net/proxy_header.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_test_authority.h"
#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

using net::tls::TestAuthority;
using net::tls::TestCertificate;
using net::tls::TestFolder;

class Certificates : public testing::Test {
 protected:
  Certificates() {
    const TestCertificate server = authority.issue({.common_name = "localhost", .dns = {"localhost"}});
    folder.write("server.pem", server.certificate);
    folder.write("server.key", server.key);
    folder.write("clients.crl", authority.crl({revoked}));
    broker.emplace(BrokerOptions{
        .toml = "[[listener]]\nname = \"door\"\nprotocol = \"mqtts\"\nbind = \"127.0.0.1:{port}\"\n"
                "tls_client_certificates = \"required\"\ntls_certificates = [\"" +
                folder.path("server.pem") + "\"]\ntls_keys = [\"" + folder.path("server.key") +
                "\"]\ntls_client_ca_file = \"" + ca + "\"\ntls_crl_files = [\"" + folder.path("clients.crl") +
                "\"]\n",
        .auth_toml = "[auth]\ncertificate_username = \"{cn}\"\ncertificate_mountpoint = \"{o}\"\n"});
  }
  void SetUp() override { COURIER_ONLY(); }

  std::shared_ptr<net::tls::TlsClient> tls(const std::optional<TestCertificate>& own,
                                           std::vector<std::string> alpn = {"mqtt"}) const {
    net::tls::ClientOptions options{.ca_file = ca, .alpn = std::move(alpn)};
    if (own) {
      options.certificate = folder.write(unique("certificate"), own->certificate);
      options.key = folder.write(unique("key"), own->key);
    }
    auto client = net::tls::TlsClient::load(std::move(options));
    if (!client) throw Broken(client.error().message);
    return *client;
  }
  // What comes of a CONNECT behind this certificate; "closed" if TLS is as far as it gets.
  std::function<std::string(Version)> shows(std::optional<TestCertificate> own, Connect connect = {},
                                            std::vector<std::string> alpn = {"mqtt"}) {
    return [=, this](Version version) -> std::string {
      Connect named = connect;
      named.version = version;
      if (named.client_id.empty()) named.client_id = unique("red");
      try {
        return answer_to(Client::open(broker->extra_port(), tls(own, alpn)->connect("localhost")), named);
      } catch (const Broken& broken) {
        // TLS 1.3: the client's end is open before the server has looked at its certificate.
        if (std::string_view(broken.what()).starts_with("the transport")) return "closed";
        throw;
      }
    };
  }

  TestFolder folder;
  TestAuthority authority{"Red CA"}, stranger{"Red CA"};  // of the same name, even
  std::string ca = folder.write("ca.pem", authority.certificate());
  TestCertificate alice = authority.issue({.common_name = "alice", .organization = "a"});
  TestCertificate bob = authority.issue({.common_name = "bob", .organization = "a"});
  TestCertificate revoked = authority.issue({.common_name = "carol", .organization = "a"});
  std::optional<Broker> broker;
};

// A broker behind a balancer that ends TLS, and one that believes another balancer.
class Balancers : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  Broker broker{{.toml = "[[listener]]\nname = \"elsewhere\"\nbind = \"127.0.0.1:{port}\"\n"
                         "proxy_protocol = \"optional\"\nproxy_trusted = [\"192.0.2.0/24\"]\n",
                 .auth_toml = "[auth]\ncertificate_username = \"{cn}\"\n"}};

  static net::ProxyHeader header(bool verified, std::string common_name) {
    net::ProxyHeader made;
    made.source = *net::SocketAddress::parse("10.0.0.1:51234");
    made.destination = *net::SocketAddress::parse("192.0.2.1:443");
    if (!common_name.empty()) {
      made.tls = {.over_tls = true,
                  .certificate_this_connection = true,
                  .verified = verified,
                  .version = "TLSv1.3",
                  .common_name = std::move(common_name)};
    }
    return made;
  }
  static std::string v2(bool verified, std::string common_name) {
    return net::encode_proxy_v2(header(verified, std::move(common_name)));
  }
  std::function<std::string(Version)> sends(uint16_t port, std::string before) const {
    return [=](Version version) {
      Client client = Client::open(port);
      client.send(before);
      return answer_to(std::move(client), {.version = version, .client_id = unique("red")});
    };
  }
};

std::string tlv(uint8_t type, const std::string& value) {
  return u8(type) + u16(static_cast<unsigned>(value.size())) + value;
}

// A header of version 2 from 10.0.0.1 with these TLVs.
std::string v2_with(const std::string& tlvs) {
  const std::string addresses = std::string("\x0A\0\0\1\xC0\0\2\1\xC8\x22\x01\xBB", 12);
  return std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14) +
         u16(static_cast<unsigned>(addresses.size() + tlvs.size())) + addresses + tlvs;
}

std::string certificate_tlv(const std::string& names) {
  return tlv(0x20, u8(0x03) + u32(0) + names);
}

}  // namespace

TEST_F(Certificates, OfTheWrongKindComeToNothing) {
  ASSERT_EQ(shows(alice)(v5), "CONNACK 0") << "the honest get in";
  const auto issued = [&](net::tls::TestRequest request) { return authority.issue(request); };
  const TestAuthority self("alice");
  const TestAuthority nobodys("Other CA"), below("Middle CA", &nobodys);
  const std::string nothing = "closed", bad = "bad transport";
  TestCertificate mixed = alice;
  mixed.key = bob.key;
  refuse(*broker,
         {
             {"without a certificate", shows({}), nothing, nothing, {bad, "reason=no_certificate"}},
             {"with one that it signed itself",
              shows(self.issue({.common_name = "alice", .organization = "a"})),
              nothing,
              nothing,
              {bad, "reason=unknown_ca"}},
             {"with one of another authority of the same name",
              shows(stranger.issue({.common_name = "alice", .organization = "a"})),
              nothing,
              nothing,
              {bad, "reason="}},
             {"with one of an authority below another",
              shows(below.issue({.common_name = "alice", .organization = "a"})),
              nothing,
              nothing,
              {bad, "reason=unknown_ca"}},
             {"with one that is over",
              shows(issued(
                  {.common_name = "alice", .valid_from = -20, .valid_until = -10, .organization = "a"})),
              nothing,
              nothing,
              {bad, "reason=expired_certificate"}},
             {"with one that is not valid yet",
              shows(issued(
                  {.common_name = "alice", .valid_from = 1000, .valid_until = 2000, .organization = "a"})),
              nothing,
              nothing,
              {bad, "reason="}},
             {"with one that was revoked",
              shows(revoked),
              nothing,
              nothing,
              {bad, "reason=revoked_certificate"}},
             {"over another protocol of TLS (ALPN)",
              shows(alice, {}, {"h2"}),
              nothing,
              nothing,
              {bad, "reason=no_shared_protocol"}},
             {"without TLS at all",
              [&](Version version) {
                return answer_to(Client::open(broker->extra_port()),
                                 {.version = version, .client_id = unique("red")});
              },
              nothing,
              nothing,
              {bad, "reason=not_tls"}},
             {"with one whose name has a NUL in it",
              shows(issued({.common_name = std::string("alice\0.evil", 11), .organization = "a"})),
              "CONNACK 5, closed",
              "CONNACK 0x87, closed",
              {"connect refused", "why="}},
             {"with one without a name",
              shows(issued({.common_name = "", .organization = "a"})),
              "CONNACK 5, closed",
              "CONNACK 0x87, closed",
              {"connect refused", "why="}},
             {"with one of no tenant",
              shows(issued({.common_name = "alice"})),
              "CONNACK 5, closed",
              "CONNACK 0x87, closed",
              {"connect refused", "auth.certificate_mountpoint"}},
             {"with a good one, under another's name and client id",
              [&](Version version) {
                const auto hers = tls(alice);
                Client victim = Client::open(broker->extra_port(), hers->connect("localhost"));
                const std::string id = unique("hers");
                victim.handshake(persistent(v5, id));
                const std::string came =
                    shows(bob, {.client_id = id, .username = "alice", .password = "x"})(version);
                victim.ping();
                return came + ", she stays";
              },
              "CONNACK 2, closed, she stays",
              "CONNACK 0x85, closed, she stays",
              {"connect refused", "belongs to another user"}},
         });
  EXPECT_EQ(shows(bob)(v3_1_1), "CONNACK 0");
}

// One tenant's certificate leads nowhere near another's topics and sessions, on the same listener.
TEST_F(Certificates, OfOneTenantHearNothingOfAnother) {
  const TestCertificate other = authority.issue({.common_name = "alice", .organization = "b"});
  const auto inside = [&](const TestCertificate& own, const std::string& id) {
    Client client = Client::open(broker->extra_port(), tls(own)->connect("localhost"));
    EXPECT_EQ(client.handshake(persistent(v5, id)).reason, 0);
    return client;
  };
  Client victim = inside(alice, "same"), attacker = inside(other, "same");
  EXPECT_FALSE(attacker.connack().session_present);
  victim.subscribe("#", 1);
  attacker.subscribe("#", 1);
  victim.publish("orders", "hers", 1);
  victim.message("hers");
  attacker.publish("marker", "marker", 1);
  attacker.message("marker");
  victim.ping();
}

TEST_F(Balancers, AreNotWhoTheySayTheyAre) {
  ASSERT_EQ(sends(broker.proxy_required_port(), v2(true, "alice"))(v5), "CONNACK 0") << "the honest get in";
  const uint16_t elsewhere = broker.extra_port(), behind = broker.proxy_required_port();
  const std::string nothing = "closed", bad = "bad PROXY header", cn = tlv(0x22, "alice");
  const std::string v1 = "PROXY TCP4 10.0.0.1 192.0.2.1 51234 443\r\n";
  std::string cut = v2(true, "alice");
  cut[15] = static_cast<char>(cut[15] - 3);  // its length
  refuse(
      broker,
      {
          {"a stranger claims a certificate",
           sends(elsewhere, v2(true, "alice")),
           nothing,
           nothing,
           {bad, "not trusted to send a header"}},
          {"a stranger claims an address",
           sends(elsewhere, v1),
           nothing,
           nothing,
           {bad, "not trusted to send a header"}},
          {"a stranger claims to be a health check",
           sends(elsewhere, std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16)),
           nothing,
           nothing,
           {bad, "not trusted to send a header"}},
          {"a header where none is read",
           sends(broker.port(), v2(true, "alice")),
           nothing,
           nothing,
           {"not a CONNECT", "why="}},
          {"no header where one must be", sends(behind, ""), nothing, nothing, {bad, "no header came"}},
          {"two headers, the second with another name",
           sends(behind, v2(true, "bob") + v2(true, "alice")),
           nothing,
           nothing,
           {"not a CONNECT", "why="}},
          {"two headers, of both versions",
           sends(behind, v1 + v2(true, "alice")),
           nothing,
           nothing,
           {"not a CONNECT", "why="}},
          {"a certificate that the balancer could not verify",
           sends(behind, v2(false, "alice")),
           "CONNACK 5, closed",
           "CONNACK 0x87, closed",
           {"connect refused", "why=\"no user name\""}},
          {"two names in one header",
           sends(behind, v2_with(certificate_tlv(cn + tlv(0x22, "root")))),
           nothing,
           nothing,
           {bad, "occurs twice"}},
          {"two certificates in one header",
           sends(behind, v2_with(certificate_tlv(cn) + certificate_tlv(cn))),
           nothing,
           nothing,
           {bad, "occurs twice"}},
          {"a name with a NUL in it",
           sends(behind, v2_with(certificate_tlv(tlv(0x22, std::string("alice\0x", 7))))),
           nothing,
           nothing,
           {bad, "not UTF-8 text"}},
          {"a name beyond the end of its header", sends(behind, cut), nothing, nothing, {bad, "cut short"}},
          {"a header whose checksum is wrong",
           sends(behind, v2_with(certificate_tlv(cn) + tlv(0x03, u32(1)))),
           nothing,
           nothing,
           {bad, "the checksum is wrong"}},
          {"a header of version 1 without an end",
           sends(behind, "PROXY TCP4 10.0.0.1 " + std::string(200, '1')),
           nothing,
           nothing,
           {bad, "within 107 bytes"}},
          {"a header of version 1 with a name for an address",
           sends(behind, "PROXY TCP4 localhost 10.0.0.1 1 2\r\n"),
           nothing,
           nothing,
           {bad, "not one of the announced family"}},
      });
}

}  // namespace courier::scenario::red_team
