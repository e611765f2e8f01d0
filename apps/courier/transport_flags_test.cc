// TLS and WebSocket as users meet them: flags in, output, sentences and exit codes out. The server is
// mosquitto, which others wrote. Courier's own listeners: test/interop.
#include "courier/transport_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/mosquitto_server.h"
#include "courier/command.h"
#include "courier/courier_process.h"
#include "net/test_ports.h"
#include "net/tls/tls_test_authority.h"

namespace courier::cli {
namespace {

using client::Mosquitto;
using net::tls::TestAuthority;
using net::tls::TestFolder;
using testing::AllOf;
using testing::HasSubstr;

struct Secured : testing::Test {
  void SetUp() override {
    if (!Mosquitto::instance().running()) GTEST_SKIP() << "mosquitto is not installed";
    ASSERT_TRUE(server().running());
  }

  static const TestFolder& folder() {
    static const TestFolder made;
    return made;
  }
  static const TestAuthority& authority() {
    static const TestAuthority made("Command line CA");
    return made;
  }
  static std::string ca() {
    static const std::string file = folder().write("ca.pem", authority().certificate());
    return file;
  }
  // As mosquitto, which is another user when root starts it, can read it.
  static std::string readable(const std::string& file) {
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    std::filesystem::permissions(std::filesystem::path(file).parent_path(), std::filesystem::perms(0755));
    return file;
  }
  static std::string settings() {
    const auto made = authority().issue({.common_name = "localhost", .dns = {"localhost"}});
    return fmt::format("cafile {}\ncertfile {}\nkeyfile {}\n", readable(ca()),
                       readable(folder().write("server.pem", made.certificate)),
                       readable(folder().write("server.key", made.key)));
  }
  static const Mosquitto& server() {
    static const Mosquitto made(settings());
    return made;
  }
  static std::string url(const Mosquitto& at, std::string_view scheme, std::string_view host = "localhost") {
    return fmt::format("{}://{}:{}/tls", scheme, host, at.port());
  }
  static std::string port(const Mosquitto& at) { return std::to_string(at.port()); }
};

TEST_F(Secured, PubAndSubGoOverTls) {
  const auto published =
      courier({"pub", "-L", url(server(), "mqtts"), "--cafile", ca(), "-q", "1", "-r", "-m", "secret"});
  EXPECT_EQ(published.code, kOk) << published.err;
  EXPECT_EQ(published.err, "");
  // A TLS flag alone means TLS, and TLS 1.2 alone will do.
  const auto received = courier({"sub", "-h", "localhost", "-p", port(server()), "--cafile", ca(),
                                 "--tls-version", "tlsv1.2", "-t", "tls", "-C", "1", "-W", "10"});
  EXPECT_EQ(received.code, kOk) << received.err;
  EXPECT_EQ(received.out, "secret\n");
}

TEST_F(Secured, UrlsOfWebSocketReachMosquitto) {
  for (const auto& [scheme, lines] : {std::pair{"ws", std::string()}, {"wss", settings()}}) {
    const uint16_t web = net::test_port();
    const Mosquitto mosquitto("", fmt::format("listener {} 127.0.0.1\nprotocol websockets\n{}", web, lines));
    ASSERT_TRUE(mosquitto.running());
    std::vector<std::string> flags = {"-L", fmt::format("{}://localhost:{}/mqtt", scheme, web), "-t", "web"};
    if (!lines.empty()) flags.insert(flags.end(), {"--cafile", ca()});
    std::vector<std::string> pub = {"pub", "-q", "1", "-r", "-m", "hello"},
                             sub = {"sub", "-C", "1", "-W", "10"};
    pub.insert(pub.end(), flags.begin(), flags.end());
    sub.insert(sub.end(), flags.begin(), flags.end());
    const auto published = courier(pub);
    EXPECT_EQ(published.code, kOk) << published.err;
    EXPECT_EQ(courier(sub).out, "hello\n");
  }
}

TEST_F(Secured, AnUnknownAuthorityIsNamedWithWhatMendsIt) {
  const auto result = courier({"pub", "-L", url(server(), "mqtts"), "-m", "x"});
  EXPECT_EQ(result.code, kNoConnection);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr(fmt::format("cannot connect to localhost:{}", server().port())),
                    HasSubstr("not of a certificate authority that is trusted"), HasSubstr("--cafile")));
  const TestAuthority other("Other CA");
  const auto wrong = courier({"pub", "-L", url(server(), "mqtts"), "-m", "x", "--cafile",
                              folder().write("other.pem", other.certificate())});
  EXPECT_EQ(wrong.code, kNoConnection);
  EXPECT_THAT(wrong.err, HasSubstr("other.pem does not hold the authority"));
}

TEST_F(Secured, ACertificateForAnotherNameIsRefused) {
  const auto result =
      courier({"pub", "-L", url(server(), "mqtts", "127.0.0.1"), "--cafile", ca(), "-m", "x"});
  EXPECT_EQ(result.code, kNoConnection);
  EXPECT_THAT(result.err, AllOf(HasSubstr("is for another name"), HasSubstr("not for \"127.0.0.1\"")));
}

TEST_F(Secured, InsecureConnectsAndSaysWhatThatMeans) {
  const auto result =
      courier({"pub", "-L", url(server(), "mqtts", "127.0.0.1"), "--insecure", "-q", "1", "-m", "x"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.err, HasSubstr("is not checked (--insecure)"));
}

TEST_F(Secured, ADirectoryOfAuthoritiesWorksAndOneThatIsNotThereIsSaid) {
  const std::string directory = folder().path("authorities");
  std::filesystem::create_directories(directory);
  // As `openssl rehash` names it.
  const auto certificate = net::tls::CertificatePtr([&] {
    const net::tls::BioPtr bio(BIO_new_file(ca().c_str(), "r"));
    return PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  }());
  std::filesystem::copy_file(
      ca(), fmt::format("{}/{:08x}.0", directory, X509_subject_name_hash(certificate.get())));
  const auto result =
      courier({"pub", "-L", url(server(), "mqtts"), "--capath", directory, "-q", "1", "-m", "x"});
  EXPECT_EQ(result.code, kOk) << result.err;
  const auto missing = courier({"pub", "-L", url(server(), "mqtts"), "--capath", "/nowhere", "-m", "x"});
  EXPECT_EQ(missing.code, kFailure);
  EXPECT_THAT(missing.err, HasSubstr("/nowhere is not there"));
}

TEST_F(Secured, AServerThatWantsACertificateRefusesWithoutOne) {
  const Mosquitto strict(settings() + "require_certificate true\n");
  ASSERT_TRUE(strict.running());
  const auto without = courier({"pub", "-L", url(strict, "mqtts"), "--cafile", ca(), "-q", "1", "-m", "x"});
  EXPECT_EQ(without.code, kRefused) << without.err;
  EXPECT_THAT(without.err, AllOf(HasSubstr("certificate required"), HasSubstr("--cert FILE --key FILE")));
  const auto own = authority().issue({.common_name = "phone-1"});
  const auto with =
      courier({"pub", "-L", url(strict, "mqtts"), "--cafile", ca(), "-q", "1", "-m", "x", "--cert",
               folder().write("own.pem", own.certificate), "--key", folder().write("own.key", own.key)});
  EXPECT_EQ(with.code, kOk) << with.err;
}

TEST_F(Secured, TheWrongSchemeForAPortIsSaid) {
  const auto tls_to_plain =
      courier({"pub", "-L", url(Mosquitto::instance(), "mqtts"), "--cafile", ca(), "-m", "x"});
  EXPECT_EQ(tls_to_plain.code, kNoConnection);
  EXPECT_THAT(tls_to_plain.err, HasSubstr("Does that port speak mqtts://?"));
  const auto plain_to_tls = courier({"pub", "-L", url(server(), "mqtt"), "-m", "x"});
  EXPECT_EQ(plain_to_tls.code, kRefused);
  EXPECT_THAT(plain_to_tls.err, HasSubstr("It may want TLS (mqtts://)"));
}

TEST_F(Secured, FilesThatCannotBeReadAreNamed) {
  const auto result =
      courier({"pub", "-L", url(server(), "mqtts"), "--cafile", "/nowhere/ca.pem", "-m", "x"});
  EXPECT_EQ(result.code, kFailure);
  EXPECT_THAT(result.err, HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace courier::cli
