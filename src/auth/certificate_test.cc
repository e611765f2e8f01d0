#include "auth/certificate.h"

#include <gtest/gtest.h>

#include <optional>

namespace courier::auth {
namespace {

Decision ask(std::string_view username, std::optional<net::PeerCertificate> certificate,
             std::string_view mountpoint = {}) {
  auto made = Certificate::open(username, mountpoint);
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
                                   .organization = "Example",
                                   .unit = "Phones",
                                   .subject = "CN=phone-17",
                                   .dns = {"a.example", "b.example"},
                                   .uri = {"urn:phone:17"},
                                   .email = {"x@example.com"},
                                   .serial = "01ab",
                                   .fingerprint = "ff00"};
  for (const auto& [text, name] : {std::pair{"{cn}", "phone-17"},
                                   {"{o}.{ou}", "Example.Phones"},
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

TEST(CertificateAuthenticator, TenantMayBeMadeOfItToo) {
  const net::PeerCertificate phone{.common_name = "phone-17", .organization = "Example"};
  const Decision decision = ask("{cn}", phone, "t-{o}");
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_EQ(decision.identity.username.view(), "phone-17");
  EXPECT_EQ(decision.identity.mountpoint.str(), "t-Example");
}

// Its listener's mountpoint would be somebody else's.
TEST(CertificateAuthenticator, WhoHasANameButNoTenantIsRefused) {
  const Decision decision = ask("{cn}", net::PeerCertificate{.common_name = "phone-17"}, "t-{o}");
  EXPECT_EQ(decision.verdict, Verdict::deny);
  EXPECT_EQ(decision.reason, mqtt::ReasonCode::not_authorized);
  EXPECT_NE(decision.why.find("auth.certificate_mountpoint"), std::string::npos) << decision.why;
  EXPECT_EQ(ask("{cn}", std::nullopt, "t-{o}").verdict, Verdict::next);
}

TEST(CertificateAuthenticator, BadTemplatesAreRefused) {
  for (const char* text : {"", "cn", "{cn", "{user}", "{cn}{}"}) {
    const auto made = Certificate::open(text);
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.error().message.find("auth.certificate_username"), std::string::npos);
    if (*text == 0) continue;  // none: the listener's
    const auto tenant = Certificate::open("{cn}", text);
    ASSERT_FALSE(tenant) << text;
    EXPECT_NE(tenant.error().message.find("auth.certificate_mountpoint"), std::string::npos);
  }
}

}  // namespace
}  // namespace courier::auth
