#include "net/tls/tls_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "net/tls/errc.h"
#include "net/tls/limits.h"
#include "net/tls/tls_test_bed.h"

namespace courier::net::tls {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Both sides say something, and goodbye.
void talk(TestPair& pair, size_t piece = std::string::npos) {
  pair.client.say("from the phone");
  pair.server.say("from the broker");
  pair.run(piece);
  EXPECT_EQ(pair.server.plain, "from the phone") << pair.server.sentence;
  EXPECT_EQ(pair.client.plain, "from the broker") << pair.client.sentence;
  pair.client.transport->close(CloseReason::normal, pair.client.out);
  pair.run(piece);
  EXPECT_EQ(pair.server.state, TransportState::ended);
  pair.server.transport->close(CloseReason::normal, pair.server.out);
  pair.run(piece);
  EXPECT_EQ(pair.client.state, TransportState::ended);
}

// A client with a context of its own, for what TlsClient does not do.
struct RawClient {
  ContextPtr context{SSL_CTX_new(TLS_client_method())};

  std::unique_ptr<TlsTransport> connect() { return TlsTransport::make(context.get(), false, nullptr); }
};

TEST(TlsTransport, CarriesBytesBothWaysAndSaysGoodbye) {
  const TlsTestBed bed;
  TestPair pair = bed.run();
  ASSERT_TRUE(pair.open()) << pair.server.sentence << pair.client.sentence;
  const auto session = pair.server.transport->tls();
  ASSERT_TRUE(session);
  EXPECT_EQ(session->version, "TLSv1.3");
  EXPECT_EQ(session->cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(session->server_name, "broker.example");
  EXPECT_EQ(session->alpn, "mqtt");
  EXPECT_FALSE(session->resumed);
  EXPECT_FALSE(session->certificate);
  talk(pair);
}

TEST(TlsTransport, CarriesMoreThanARecordInRecordsThatPhonesCanUseEarly) {
  const TlsTestBed bed;
  TestPair pair = bed.run();
  const std::string much(1'000'000, 'x');
  pair.server.say(much);
  EXPECT_LT(pair.server.out.size(), much.size() + much.size() / 100);
  pair.run(1000);
  EXPECT_EQ(pair.client.plain, much);
}

TEST(TlsTransport, JoinsPiecesIntoOneRecord) {
  const TlsTestBed bed;
  TestPair pair = bed.run();
  std::string one, joined;
  ASSERT_TRUE(pair.server.transport->send("abcdef", one));
  const std::string_view pieces[] = {"ab", "", "cdef"};
  ASSERT_TRUE(pair.server.transport->send(pieces, joined));
  EXPECT_EQ(one.size(), joined.size());
  pair.client.take(one + joined);
  EXPECT_EQ(pair.client.plain, "abcdefabcdef");
}

TEST(TlsTransport, TakesAnythingByteByByte) {
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    TlsTestBed bed;
    bed.ask_for_certificates(ClientCertificates::required);
    bed.client_certificate(bed.authority.issue({.common_name = "phone-17"}));
    bed.client.version_min = version;
    if (version == Version::tls1_2) bed.client.version_max = Version::tls1_2;
    TestPair pair = bed.pair();
    pair.run(1);
    ASSERT_TRUE(pair.open()) << pair.server.sentence << pair.client.sentence;
    EXPECT_EQ(pair.server.transport->tls()->version, version == Version::tls1_2 ? "TLSv1.2" : "TLSv1.3");
    talk(pair, 1);
  }
}

TEST(TlsTransport, ACutAtAnyByteOfTheClientChangesNothing) {
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    TlsTestBed bed;
    bed.client.version_max = version;
    bed.client.resume = false;
    const auto server = bed.load_server();
    const auto client = bed.load_client();
    size_t total = 2;
    for (size_t cut = 1; cut < total; ++cut) {
      TestPair pair(client->connect("broker.example"), server->accept(bed.now()));
      pair.run(std::string::npos, cut);
      ASSERT_TRUE(pair.open()) << cut << pair.server.sentence;
      pair.client.say("from the phone");
      pair.run(std::string::npos, cut);
      ASSERT_EQ(pair.server.plain, "from the phone") << cut;
      total = pair.client.sent.size();
    }
    EXPECT_GT(total, 300u);
  }
}

TEST(TlsTransport, FramesThatComeWithTheEndOfTheHandshakeAreRead) {
  const TlsTestBed bed;
  TestPair pair = bed.pair();
  pair.server.take(std::exchange(pair.client.out, {}));
  pair.client.take(std::exchange(pair.server.out, {}));
  ASSERT_EQ(pair.client.state, TransportState::open);
  pair.client.say("CONNECT");
  pair.run();
  EXPECT_EQ(pair.server.plain, "CONNECT");
}

// --- what does not belong here ---

struct Refusal {
  std::string label, sentence, reply;
};

Refusal first_bytes(std::string_view bytes, size_t piece = std::string::npos) {
  const TlsTestBed bed;
  TestEnd server;
  server.transport = bed.load_server()->accept(bed.now());
  for (size_t at = 0; at < bytes.size(); at += std::min(piece, bytes.size())) {
    server.take(bytes.substr(at, piece));
  }
  return {server.failed, server.sentence, server.out};
}

std::string alert(char description) {
  return std::string("\x15\x03\x03\x00\x02\x02", 6) + description;
}

TEST(TlsTransport, TellsABrowserThatThePortSpeaksTls) {
  const Refusal refused = first_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(refused.label, "not_tls");
  EXPECT_THAT(refused.sentence, HasSubstr("HTTP without TLS"));
  EXPECT_THAT(refused.reply, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(refused.reply, HasSubstr("This port speaks TLS"));
}

TEST(TlsTransport, NamesPlainMqttForWhatItIs) {
  const Refusal refused = first_bytes(std::string("\x10\x0C\x00\x04MQTT", 8));
  EXPECT_EQ(refused.label, "not_tls");
  EXPECT_THAT(refused.sentence, HasSubstr("MQTT without TLS"));
  EXPECT_EQ(refused.reply, "");
}

TEST(TlsTransport, RefusesSsl2AndSsl3WithAnAlert) {
  const std::string ssl2("\x80\x2E\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11);
  EXPECT_EQ(first_bytes(ssl2).label, "no_shared_version");
  EXPECT_EQ(first_bytes(ssl2).reply, alert(70));

  // A record of version 3.0 with a ClientHello of version 3.0, 32 bytes of random, one cipher suite.
  std::string hello =
      std::string("\x03\x00", 2) + std::string(32, 'r') + std::string("\x00\x00\x02\x00\x2F\x01\x00", 7);
  hello = std::string("\x01\x00\x00", 3) + static_cast<char>(hello.size()) + hello;
  const std::string ssl3 = std::string("\x16\x03\x00\x00", 4) + static_cast<char>(hello.size()) + hello;
  const Refusal refused = first_bytes(ssl3);
  EXPECT_EQ(refused.label, "no_shared_version") << refused.sentence;
  ASSERT_EQ(refused.reply.size(), 7u);
  EXPECT_EQ(refused.reply[6], 40) << "SSL 3 has no alert for versions, but handshake_failure";
}

TEST(TlsTransport, RefusesGarbageAtItsFirstByte) {
  EXPECT_EQ(first_bytes("\xFF").label, "not_tls");
  EXPECT_EQ(first_bytes("\xFF").reply, alert(10));
  EXPECT_EQ(first_bytes(std::string("\x00", 1)).label, "not_tls");
  const Refusal version = first_bytes(std::string("\x16garbage", 8), 1);
  EXPECT_EQ(version.label, "not_tls") << version.sentence;
}

TEST(TlsTransport, RefusesAnOversizedHelloAtItsHeader) {
  // A record of four bytes, whose handshake header announces 100,000.
  const std::string header("\x16\x03\x01\x00\x04\x01\x01\x86\xA0", 9);
  const Refusal refused = first_bytes(header, 1);
  EXPECT_EQ(refused.label, "too_large");
  EXPECT_EQ(refused.reply, alert(47));
}

TEST(TlsTransport, RefusesOlderVersionsWithAReason) {
  TlsTestBed bed;
  bed.server.version_min = Version::tls1_3;
  bed.client.version_max = Version::tls1_2;
  TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "no_shared_version");
  EXPECT_EQ(pair.client.failed, "refused_by_peer");
  EXPECT_THAT(pair.client.sentence, HasSubstr("protocol version"));
}

TEST(TlsTransport, RefusesClientsWithoutACipherOfOurs) {
  TlsTestBed bed;
  RawClient raw;
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  ASSERT_EQ(SSL_CTX_set_cipher_list(raw.context.get(), "ECDHE-RSA-AES256-SHA384"), 1);
  TestPair pair(raw.connect(), bed.load_server()->accept(bed.now()));
  pair.run();
  EXPECT_EQ(pair.server.failed, "no_shared_cipher") << pair.server.sentence;
}

TEST(TlsTransport, DoesNotRenegotiate) {
  TlsTestBed bed;
  RawClient raw;
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  auto client = raw.connect();
  SSL* const ssl = client->ssl();
  TestPair pair(std::move(client), bed.load_server()->accept(bed.now()));
  pair.run();
  ASSERT_TRUE(pair.open());
  ASSERT_EQ(SSL_renegotiate(ssl), 1);
  EXPECT_FALSE(pair.client.transport->send("what must wait for it", pair.client.out));
  ASSERT_NE(pair.client.out, "") << "a hello";
  pair.run();
  EXPECT_THAT(pair.client.sentence, HasSubstr("no renegotiation"));
  EXPECT_EQ(pair.server.failed, "refused_by_peer") << "the client gave up; " << pair.server.sentence;
}

TEST(TlsTransport, OffersNoEarlyData) {
  TlsTestBed bed;
  RawClient raw;
  auto client = raw.connect();
  SSL* const ssl = client->ssl();
  TestPair pair(std::move(client), bed.load_server()->accept(bed.now()));
  pair.run();
  ASSERT_TRUE(pair.open());
  EXPECT_EQ(SSL_SESSION_get_max_early_data(SSL_get_session(ssl)), 0u);
}

TEST(TlsTransport, FollowsAClientThatChangesItsKeysAlsoAfterItsCertificateWasForgotten) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  bed.client_certificate(bed.authority.issue({.common_name = "phone"}));
  auto client = bed.load_client()->connect("broker.example");
  SSL* const ssl = static_cast<TlsTransport&>(*client).ssl();
  TestPair pair(std::move(client), bed.load_server()->accept(bed.now()));
  pair.run();
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    pair.client.say("up");
    pair.run();
    pair.server.say("down");
    pair.run();
    EXPECT_EQ(pair.server.plain.size(), 2u * i) << pair.server.sentence;
    EXPECT_EQ(pair.client.plain.size(), 4u * i) << pair.client.sentence;
  }
  EXPECT_EQ(pair.server.transport->tls()->certificate->common_name, "phone");
}

// Each change asks us for one of our own: many in one piece would cost us more than the peer.
TEST(TlsTransport, EndsAClientThatChangesItsKeysWithoutEnd) {
  const TlsTestBed bed;
  TestPair pair = bed.run();
  ASSERT_TRUE(pair.open());
  SSL* const ssl = static_cast<TlsTransport&>(*pair.client.transport).ssl();
  const auto change = [&](unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      ASSERT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
      pair.client.say("x");  // goes out behind the change
    }
  };
  change(kKeyUpdatesMax);
  pair.run();
  EXPECT_TRUE(pair.open()) << pair.server.sentence;
  EXPECT_EQ(pair.server.plain, std::string(kKeyUpdatesMax, 'x'));
  EXPECT_EQ(pair.server.failed, "");
  change(1000);
  pair.run();
  EXPECT_EQ(pair.server.failed, "key_updates");
  EXPECT_THAT(pair.server.sentence, HasSubstr("changes its keys without end"));
  EXPECT_LE(pair.server.plain.size(), 2 * kKeyUpdatesMax + 2);
}

TEST(TlsTransport, SendsShortFragmentsToAClientThatAskedForThem) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::optional);
  const TestCertificate made = bed.authority.issue({.common_name = "phone"});
  RawClient raw;
  SSL_CTX_set_tlsext_max_fragment_length(raw.context.get(), TLSEXT_max_fragment_length_512);
  const auto files = bed.files("raw", made);
  ASSERT_EQ(SSL_CTX_use_certificate_file(raw.context.get(), files.certificate.c_str(), SSL_FILETYPE_PEM), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey_file(raw.context.get(), files.key.c_str(), SSL_FILETYPE_PEM), 1);
  TestPair pair(raw.connect(), bed.load_server()->accept(bed.now()));
  pair.run();
  ASSERT_TRUE(pair.open()) << pair.server.sentence;
  pair.server.say(std::string(5000, 'x'));
  ASSERT_GE(pair.server.out.size(), 5u);
  EXPECT_LT(static_cast<uint8_t>(pair.server.out[3]) << 8 | static_cast<uint8_t>(pair.server.out[4]), 600);
  pair.run();
  EXPECT_EQ(pair.client.plain.size(), 5000u);
}

TEST(TlsTransport, RefusesAnOversizedSecondHelloAtItsHeader) {
  const TlsTestBed bed;
  RawClient raw;
  SSL_CTX_set1_groups_list(raw.context.get(), "P-521:P-256");  // the first is none of ours: it is asked again
  TestPair pair(raw.connect(), bed.load_server()->accept(bed.now()));
  pair.server.take(std::exchange(pair.client.out, {}));
  ASSERT_EQ(pair.server.state, TransportState::opening);
  ASSERT_NE(pair.server.out, "");
  pair.server.take(std::string("\x14\x03\x03\x00\x01\x01", 6));
  EXPECT_EQ(pair.server.failed, "");
  pair.server.take(std::string("\x16\x03\x03\x00\x04\x01\x01\x86\xA0", 9));
  EXPECT_EQ(pair.server.failed, "too_large");
}

TEST(TlsTransport, NamesEveryReasonOnce) {
  std::set<std::string> words;
  const int last = static_cast<int>(errc::bad_file);
  for (int code = 1; code <= last; ++code) words.insert(category().message(code));
  EXPECT_EQ(words.size(), static_cast<size_t>(last));
  EXPECT_EQ(words.count("unknown"), 0u);
}

TEST(TlsTransport, OfOneConfigurationAreMadeByAnyThread) {
  TlsTestBed bed;
  const auto server = bed.load_server();
  const auto client = bed.load_client();
  std::atomic<int> open = 0, resumed = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        TestPair pair(client->connect("broker.example"), server->accept(bed.now()));
        pair.run();
        open += pair.open();
        resumed += pair.open() && pair.server.transport->tls()->resumed;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(open, 100);
  EXPECT_GT(resumed, 0);
}

// --- ALPN ---

TEST(TlsTransport, RefusesAClientThatOffersOtherProtocolsOnly) {
  TlsTestBed bed;
  bed.client.alpn = {"h2", "http/1.1"};
  TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "no_shared_protocol") << pair.server.sentence;
  EXPECT_THAT(pair.client.sentence, HasSubstr("no application protocol"));
}

TEST(TlsTransport, LetsAClientInThatOffersNoProtocol) {
  TlsTestBed bed;
  bed.client.alpn = {};
  TestPair pair = bed.run();
  EXPECT_TRUE(pair.open());
  EXPECT_EQ(pair.server.transport->tls()->alpn, "");
}

TEST(TlsTransport, TakesTheFirstOfOurProtocolsThatIsOffered) {
  TlsTestBed bed;
  bed.server.alpn = {"mqtt", "http/1.1"};
  bed.client.alpn = {"http/1.1", "mqtt"};
  TestPair pair = bed.run();
  ASSERT_TRUE(pair.open());
  EXPECT_EQ(pair.client.transport->tls()->alpn, "mqtt");
}

// --- the client's judgement ---

TEST(TlsClient, RefusesACertificateForAnotherName) {
  const TlsTestBed bed;
  TestPair pair = bed.run("other.example");
  EXPECT_EQ(pair.client.failed, "wrong_name") << pair.client.sentence;
  EXPECT_THAT(pair.client.sentence, HasSubstr("CN=broker"));
  EXPECT_EQ(pair.server.failed, "refused_by_peer");
  EXPECT_THAT(pair.server.sentence, HasSubstr("client refused"));
}

TEST(TlsClient, RefusesAnAuthorityThatItDoesNotKnow) {
  TlsTestBed bed;
  bed.client.ca_file = bed.folder.write("other.pem", TestAuthority("Other CA").certificate());
  TestPair pair = bed.run();
  EXPECT_EQ(pair.client.failed, "unknown_ca");
  EXPECT_THAT(pair.server.sentence, HasSubstr("unknown CA"));
}

TEST(TlsClient, BelievesAnybodyWhenToldTo) {
  TlsTestBed bed;
  bed.client.ca_file = bed.folder.write("other.pem", TestAuthority("Other CA").certificate());
  bed.client.insecure = true;
  TestPair pair = bed.run("other.example");
  EXPECT_TRUE(pair.open());
  EXPECT_FALSE(pair.client.transport->tls()->certificate) << "it was not verified";
}

TEST(TlsClient, ChecksAnAddressAgainstTheAddressesOfTheCertificate) {
  TlsTestBed bed;
  bed.server.certificates = {bed.files(
      "ip", bed.authority.issue({.common_name = "broker", .dns = {"a"}, .ip = {"127.0.0.1", "::1"}}))};
  EXPECT_TRUE(bed.run("127.0.0.1").open());
  EXPECT_TRUE(bed.run("::1").open());
  EXPECT_EQ(bed.run("127.0.0.2").client.failed, "wrong_name");
}

}  // namespace
}  // namespace courier::net::tls
