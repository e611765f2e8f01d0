#include "auth/certificate.h"

#include <gtest/gtest.h>

#include <optional>

namespace courier::auth {
namespace {

Decision ask(std::string_view username, std::optional<net::PeerCertificate> certificate) {
  auto made = Certificate::open(username);
  EXPECT_TRUE(made) << made.error().message;
  Credentials credentials;
  credentials.mountpoint = "tenant";
  credentials.username = "whoever";
  net::TlsSession session;
  session.certificate = std::move(certificate);
  credentials.tls = std::make_shared<const net::TlsSession>(std::move(session));
  std::optional<Decision> answer;
  (*made)->authenticate(std::move(credentials), [&](Decision decision) { answer = std::move(decision); });
  EXPECT_TRUE(answer);
  return *std::move(answer);
}

TEST(CertificateAuthenticator, NameIsMadeOfWhatTheCertificateSays) {
  const net::PeerCertificate phone{.common_name = "phone-17",
                                   .subject = "CN=phone-17",
                                   .dns = {"a.example", "b.example"},
                                   .uri = {"urn:phone:17"},
                                   .email = {"x@example.com"},
                                   .serial = "01ab",
                                   .fingerprint = "ff00"};
  for (const auto& [text, name] : {std::pair{"{cn}", "phone-17"},
                                   {"{dns}", "a.example"},
                                   {"mtls:{uri}", "mtls:urn:phone:17"},
                                   {"{email}/{serial}", "x@example.com/01ab"},
                                   {"{fingerprint}!", "ff00!"}}) {
    const Decision decision = ask(text, phone);
    EXPECT_EQ(decision.verdict, Verdict::allow) << text;
    EXPECT_EQ(decision.identity.username.view(), name);
    EXPECT_EQ(decision.identity.mountpoint.str(), "tenant");
    EXPECT_FALSE(decision.identity.anonymous);
  }
}

TEST(CertificateAuthenticator, WhoLacksWhatTheTemplateAsksForIsForTheNext) {
  EXPECT_EQ(ask("{cn}", std::nullopt).verdict, Verdict::next);
  EXPECT_EQ(ask("{cn}", net::PeerCertificate{}).verdict, Verdict::next);
  EXPECT_EQ(ask("a-{dns}", net::PeerCertificate{.common_name = "x"}).verdict, Verdict::next);
}

TEST(CertificateAuthenticator, BadTemplatesAreRefused) {
  for (const char* text : {"", "cn", "{cn", "{user}", "{cn}{}"}) {
    const auto made = Certificate::open(text);
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.error().message.find("auth.certificate_username"), std::string::npos);
  }
}

}  // namespace
}  // namespace courier::auth
