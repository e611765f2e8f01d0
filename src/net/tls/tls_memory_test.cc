// What connections hold, in bytes that malloc gave: the promise is 16 KB for an idle one, and 64 KB before
// its handshake is done, whatever the peer sends.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <string>
#include <vector>

#include "net/tls/limits.h"
#include "net/tls/tls_test_bed.h"

namespace courier::net::tls {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMallocCounts = false;
#else
constexpr bool kMallocCounts = true;
#endif

constexpr size_t kIdleMax = 16 * 1024, kOpeningMax = 64 * 1024;

size_t held() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What each of many idle connections of this server holds.
size_t idle_bytes(TlsTestBed& bed) {
  bed.client.resume = false;
  const auto server = bed.load_server();
  const auto client = bed.load_client();
  constexpr size_t kConnections = 200;
  std::vector<std::unique_ptr<Transport>> idle;
  idle.reserve(kConnections + 1);
  size_t before = 0;
  for (size_t i = 0; i <= kConnections; ++i) {
    if (i == 1) before = held();  // the first pays for what OpenSSL makes once
    TestPair pair(client->connect("broker.example"), server->accept(bed.now()));
    pair.run();
    pair.client.say(std::string(5000, 'x'));
    pair.server.say(std::string(5000, 'x'));
    pair.run();
    EXPECT_EQ(pair.server.plain.size(), 5000u) << pair.server.sentence << pair.client.sentence;
    idle.push_back(std::move(pair.server.transport));
  }
  return (held() - before) / kConnections;
}

TEST(TlsMemory, AnIdleConnectionHoldsLessThan16Kilobytes) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    for (const ClientCertificates mode : {ClientCertificates::off, ClientCertificates::required}) {
      TlsTestBed bed;
      bed.client.version_max = version;
      if (mode == ClientCertificates::required) {
        bed.ask_for_certificates(mode);
        const TestAuthority middle("Middle CA", &bed.authority);
        bed.client_certificate(
            middle.issue({.common_name = "phone", .dns = {"phone.example"}, .key = TestKey::rsa2048}));
      }
      const size_t bytes = idle_bytes(bed);
      EXPECT_LE(bytes, kIdleMax);
      std::printf("TLS 1.%d%s: %zu bytes\n", version == Version::tls1_2 ? 2 : 3,
                  mode == ClientCertificates::off ? "" : " with a client's certificate and its issuer's",
                  bytes);
    }
  }
}

TEST(TlsMemory, HalfARecordCostsWhatHasCome) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  TlsTestBed bed;
  TestPair pair = bed.run();
  pair.client.say(std::string(16'000, 'x'));
  std::string plain, reply;
  plain.reserve(20'000);
  const size_t before = held();
  size_t came = 0;
  for (const char byte : std::string_view(pair.client.out).substr(0, 16'000)) {
    ASSERT_TRUE(pair.server.transport->receive({&byte, 1}, plain, reply));
    const size_t now = held() - before;
    ++came;
    ASSERT_LE(now, std::min<size_t>(2 * came + 64, 16'500)) << came;
  }
  EXPECT_EQ(plain, "");
}

// Counts what a server's end takes and gives back in each call.
class Weighed {
 public:
  explicit Weighed(const TlsServer& server) {
    reply_.reserve(256 * 1024);
    const size_t before = held();
    transport_ = server.accept(TlsTestBed::now());
    now_ = held() - before;
    note();
  }

  // One byte at a time, until something is decided.
  void take(std::string_view bytes) {
    for (const char byte : bytes) {
      if (!failed.empty() || open) return;
      const size_t before = held();
      const auto state = transport_->receive({&byte, 1}, plain_, reply_);
      if (!state) {
        failed = state.error().code.message();
        return;
      }
      now_ += held() - before;
      open = *state != TransportState::opening;
      note();
    }
  }
  std::string reply() { return std::exchange(reply_, std::string()); }

  size_t most = 0;
  bool open = false;
  std::string failed;

 private:
  void note() {
    if (!open) most = std::max(most, now_);
    if (reply_.capacity() < 64 * 1024) reply_.reserve(256 * 1024);
  }

  std::unique_ptr<Transport> transport_;
  std::string plain_, reply_;
  size_t now_ = 0;
};

// A server that asks for certificates, warm: OpenSSL has made what it makes once.
struct HostileBed : TlsTestBed {
  std::shared_ptr<const TlsServer> loaded;

  HostileBed() {
    ask_for_certificates(ClientCertificates::optional);
    client.resume = false;
    loaded = load_server();
    for (const Version version : {Version::tls1_2, Version::tls1_3}) {
      client.version_max = version;
      TestPair pair(load_client()->connect("broker.example"), loaded->accept(now()));
      pair.run();
      EXPECT_TRUE(pair.open());
    }
  }

  // Everything that this client sends, weighed at every byte.
  size_t weigh(Transport& phone) {
    Weighed server(*loaded);
    std::string out, plain;
    phone.start(out);
    while (!out.empty()) {
      server.take(std::exchange(out, std::string()));
      const std::string reply = server.reply();
      if (!server.failed.empty() || reply.empty() || !phone.receive(reply, plain, out)) break;
    }
    failed = server.failed;
    return server.most;
  }
  std::string failed;
};

void expect_bounded(size_t most, const char* what) {
  EXPECT_LE(most, kOpeningMax) << what;
  std::printf("%s: %zu bytes at most\n", what, most);
}

TEST(TlsMemory, AHelloOfTheLargestSizeIsBounded) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  HostileBed bed;
  // As many protocols as fit, and the one that we take at the end.
  std::vector<unsigned char> alpn;
  while (alpn.size() < kHelloBytesMax - 800) alpn.insert(alpn.end(), {3, 'x', 'y', 'z'});
  alpn.insert(alpn.end(), {4, 'm', 'q', 't', 't'});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const ContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_alpn_protos(context.get(), alpn.data(), static_cast<unsigned>(alpn.size()));
    const auto phone = TlsTransport::make(context.get(), false, nullptr);
    expect_bounded(bed.weigh(*phone),
                   version == TLS1_2_VERSION ? "large hello, TLS 1.2" : "large hello, TLS 1.3");
    EXPECT_EQ(bed.failed, "");
  }
}

TEST(TlsMemory, ASecondHelloOfTheLargestSizeIsBounded) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  HostileBed bed;
  std::vector<unsigned char> alpn;
  while (alpn.size() < kHelloBytesMax - 800) alpn.insert(alpn.end(), {3, 'x', 'y', 'z'});
  alpn.insert(alpn.end(), {4, 'm', 'q', 't', 't'});
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  // Its guess at the group is wrong, so it is asked again.
  SSL_CTX_set1_groups_list(context.get(), "P-521:P-256");
  SSL_CTX_set_alpn_protos(context.get(), alpn.data(), static_cast<unsigned>(alpn.size()));
  const auto phone = TlsTransport::make(context.get(), false, nullptr);
  expect_bounded(bed.weigh(*phone), "two large hellos");
  EXPECT_EQ(bed.failed, "");
}

TEST(TlsMemory, CertificatesOfTheLargestSizeAreBounded) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  HostileBed bed;
  TestCertificate made = bed.authority.issue({.common_name = "phone"});
  // Three quarters of PEM are DER. One more would be too large.
  for (const std::string idle = TestAuthority("Idle CA").certificate();
       (made.certificate.size() + idle.size()) * 3 / 4 <= kClientChainBytesMax;) {
    made.certificate += idle;
  }
  bed.client_certificate(made);
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    bed.client.version_max = version;
    const auto phone = bed.load_client()->connect("broker.example");
    expect_bounded(bed.weigh(*phone),
                   version == Version::tls1_2 ? "certificates, TLS 1.2" : "certificates, TLS 1.3");
    EXPECT_EQ(bed.failed, "");
  }
}

TEST(TlsMemory, WhatIsAnnouncedCostsNothing) {
  if (!kMallocCounts) GTEST_SKIP() << "malloc is the sanitizer's";
  HostileBed bed;
  const auto weigh = [&](const std::string& bytes, const char* what) {
    Weighed server(*bed.loaded);
    server.take(bytes);
    expect_bounded(server.most, what);
    return server.failed;
  };
  // A record of 8 KB of which all but the last byte comes, with a hello of 8 KB in it.
  const std::string hello = std::string("\x16\x03\x01\x20\x04\x01\x00\x20\x00", 9) + std::string(8191, 'x');
  EXPECT_EQ(weigh(hello, "a record without its end"), "");
  // A hello in records of one byte each.
  std::string spread;
  for (const char byte : std::string("\x01\x00\x20\x00", 4) + std::string(8000, 'x')) {
    spread += std::string("\x16\x03\x01\x00\x01", 5) + byte;
  }
  EXPECT_EQ(weigh(spread, "a hello in records of one byte"), "");
  // The header of one that is too large, alone.
  EXPECT_EQ(weigh(std::string("\x16\x03\x01\x40\x00\x01\x01\xFF\xFF", 9), "a hello that is announced"),
            "too_large");
  // More than a handshake may have.
  std::string endless;
  for (int i = 0; i < 40'000; ++i) endless += std::string("\x16\x03\x01\x00\x00", 5);
  EXPECT_NE(weigh(endless, "records without anything in them"), "");
}

}  // namespace
}  // namespace courier::net::tls
