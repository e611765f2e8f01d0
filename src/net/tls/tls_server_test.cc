#include "net/tls/tls_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "net/tls/errc.h"
#include "net/tls/tls_test_bed.h"

namespace courier::net::tls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The name in the certificate that a client is shown when it asks for `name`.
std::string shown(const TlsServer& server, const std::string& name) {
  TlsTestBed bed;
  bed.client.insecure = true;
  auto client = bed.load_client()->connect(name);
  SSL* const ssl = static_cast<TlsTransport&>(*client).ssl();
  TestPair pair(std::move(client), server.accept(TlsTestBed::now()));
  pair.run();
  EXPECT_TRUE(pair.open()) << pair.server.sentence;
  const CertificatePtr certificate(SSL_get1_peer_certificate(ssl));
  return certificate ? describe(certificate.get()).subject : "";
}

// --- certificates by name ---

TEST(TlsServer, ShowsTheCertificateForTheNameThatIsAskedFor) {
  TlsTestBed bed;
  bed.server.certificates = {
      bed.files("first", bed.authority.issue({.common_name = "first", .dns = {"broker.example"}})),
      bed.files("second",
                bed.authority.issue({.common_name = "second", .dns = {"MQTT.example", "other.example"}})),
      bed.files("wild", bed.authority.issue({.common_name = "wild", .dns = {"*.tenants.example"}})),
      bed.files("late", bed.authority.issue(
                            {.common_name = "late", .dns = {"broker.example", "x.tenants.example"}}))};
  const auto server = bed.load_server();
  EXPECT_EQ(shown(*server, "broker.example"), "CN=first") << "the first that has the name";
  EXPECT_EQ(shown(*server, "mqtt.EXAMPLE"), "CN=second");
  EXPECT_EQ(shown(*server, "other.example"), "CN=second");
  EXPECT_EQ(shown(*server, "a.tenants.example"), "CN=wild");
  EXPECT_EQ(shown(*server, "x.tenants.example"), "CN=late") << "the name itself goes before the pattern";
  EXPECT_EQ(shown(*server, "a.b.tenants.example"), "CN=first") << "a pattern is for one label";
  EXPECT_EQ(shown(*server, "tenants.example"), "CN=first");
  EXPECT_EQ(shown(*server, "unknown"), "CN=first");
  EXPECT_EQ(shown(*server, "127.0.0.1"), "CN=first") << "no name is asked for";
}

TEST(TlsServer, ChoosesTheKindOfKeyThatAClientKnows) {
  TlsTestBed bed;
  bed.server.certificates = {
      bed.files("ec", bed.authority.issue({.common_name = "ec", .dns = {"broker.example"}})),
      bed.files("rsa", bed.authority.issue(
                           {.common_name = "rsa", .dns = {"broker.example"}, .key = TestKey::rsa2048}))};
  const auto server = bed.load_server();
  for (const auto& [ciphers, label] : {std::pair("ECDHE-RSA-AES128-GCM-SHA256", "CN=rsa"),
                                       std::pair("ECDHE-ECDSA-AES128-GCM-SHA256", "CN=ec")}) {
    const ContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context.get(), ciphers);
    auto client = TlsTransport::make(context.get(), false, nullptr);
    SSL* const ssl = client->ssl();
    SSL_set_tlsext_host_name(ssl, "broker.example");
    TestPair pair(std::move(client), server->accept(bed.now()));
    pair.run();
    ASSERT_TRUE(pair.open()) << pair.server.sentence;
    EXPECT_EQ(describe(SSL_get0_peer_certificate(ssl)).subject, label);
  }
}

TEST(TlsServer, DescribesItsCertificates) {
  TlsTestBed bed;
  bed.server.certificates = {
      bed.files("a", bed.authority.issue(
                         {.common_name = "a", .dns = {"a.example", "*.b.example"}, .organization = "O"})),
      bed.files("rsa", bed.authority.issue({.common_name = "r", .key = TestKey::rsa2048}))};
  const auto server = bed.load_server();
  ASSERT_EQ(server->certificates().size(), 2u);
  const CertificateDescription& first = server->certificates()[0];
  EXPECT_EQ(first.file, bed.server.certificates[0].certificate);
  EXPECT_EQ(first.subject, "CN=a,O=O");
  EXPECT_THAT(first.names, ElementsAre("a.example", "*.b.example"));
  EXPECT_EQ(first.key, "EC P-256");
  EXPECT_EQ(first.fingerprint.size(), 64u);
  EXPECT_NEAR(static_cast<double>(first.not_after - bed.now()), 365.0 * kTestDay * 1000, 60'000);
  EXPECT_EQ(first.ocsp_until, 0);
  EXPECT_EQ(server->certificates()[1].key, "RSA 2048");
  EXPECT_THAT(server->certificates()[1].names, ElementsAre("r"));
}

// --- clients' certificates ---

TEST(TlsServer, KnowsWhoAClientWithACertificateIs) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  bed.client_certificate(bed.authority.issue({.common_name = "phone-17",
                                              .dns = {"phone-17.example", "alias.example"},
                                              .uri = {"urn:phone:17"},
                                              .email = {"a@example.com"},
                                              .organization = "Example"}));
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    bed.client.version_max = version;
    const TestPair pair = bed.run();
    ASSERT_TRUE(pair.open()) << pair.server.sentence;
    const auto session = pair.server.transport->tls();
    ASSERT_TRUE(session && session->certificate);
    const PeerCertificate& certificate = *session->certificate;
    EXPECT_EQ(certificate.common_name, "phone-17");
    EXPECT_EQ(certificate.subject, "CN=phone-17,O=Example");
    EXPECT_THAT(certificate.dns, ElementsAre("phone-17.example", "alias.example"));
    EXPECT_THAT(certificate.uri, ElementsAre("urn:phone:17"));
    EXPECT_THAT(certificate.email, ElementsAre("a@example.com"));
    EXPECT_THAT(certificate.serial, testing::MatchesRegex("[1-9a-f][0-9a-f]*"));
    EXPECT_THAT(certificate.fingerprint, testing::MatchesRegex("[0-9a-f]{64}"));
    EXPECT_GT(certificate.not_after, bed.now());
  }
}

TEST(TlsServer, RequiresACertificateOnlyWhenToldTo) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  const TestPair refused = bed.run();
  EXPECT_EQ(refused.server.failed, "no_certificate");
  EXPECT_THAT(refused.server.sentence, HasSubstr("showed no certificate"));
  EXPECT_EQ(refused.client.failed, "refused_by_peer");
  bed.server.client_certificates = ClientCertificates::optional;
  const TestPair let_in = bed.run();
  EXPECT_TRUE(let_in.open());
  EXPECT_FALSE(let_in.server.transport->tls()->certificate);
  bed.client_certificate(bed.authority.issue({.common_name = "phone"}));
  EXPECT_EQ(bed.run().server.transport->tls()->certificate->common_name, "phone");
}

TEST(TlsServer, RefusesACertificateOfAnotherAuthorityEvenIfNoneIsRequired) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::optional);
  bed.client_certificate(TestAuthority("Other CA").issue({.common_name = "impostor"}));
  const TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "unknown_ca");
  EXPECT_THAT(pair.server.sentence, HasSubstr("certificate (CN=impostor) is not of a certificate authority"));
  EXPECT_THAT(pair.client.sentence, HasSubstr("unknown CA"));
}

TEST(TlsServer, RefusesACertificateThatIsNotValidNow) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  bed.client_certificate(
      bed.authority.issue({.common_name = "old", .valid_from = -2 * kTestDay, .valid_until = -kTestDay}));
  const TestPair expired = bed.run();
  EXPECT_EQ(expired.server.failed, "expired_certificate");
  EXPECT_THAT(expired.client.sentence, HasSubstr("certificate expired"));
  bed.client_certificate(bed.authority.issue({.common_name = "new", .valid_from = kTestDay}));
  EXPECT_EQ(bed.run().server.failed, "expired_certificate");
}

TEST(TlsServer, FollowsAnIntermediateAuthorityAsDeepAsItMay) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  const TestAuthority middle("Middle CA", &bed.authority), lower("Lower CA", &middle);
  bed.client_certificate(lower.issue({.common_name = "phone"}));
  EXPECT_TRUE(bed.run().open());
  bed.server.verify_depth = 1;
  const TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "bad_certificate") << pair.server.sentence;
  EXPECT_THAT(pair.server.sentence, HasSubstr("more certificates above it"));
}

TEST(TlsServer, RefusesMoreCertificatesThanItWouldHold) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  TestCertificate made = bed.authority.issue({.common_name = "phone"});
  for (int i = 0; i < 40; ++i)
    made.certificate += TestAuthority("Idle CA " + std::to_string(i)).certificate();
  bed.client_certificate(made);
  const TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "too_large") << pair.server.sentence;
}

TEST(TlsServer, RefusesARevokedCertificate) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  const TestCertificate good = bed.authority.issue({.common_name = "good"});
  const TestCertificate lost = bed.authority.issue({.common_name = "lost"});
  bed.server.crl_files = {bed.folder.write("ca.crl", bed.authority.crl({lost}))};
  bed.client_certificate(good);
  EXPECT_TRUE(bed.run().open());
  bed.client_certificate(lost);
  const TestPair pair = bed.run();
  EXPECT_EQ(pair.server.failed, "revoked_certificate");
  EXPECT_THAT(pair.server.sentence, HasSubstr("(CN=lost) was revoked"));
  EXPECT_THAT(pair.client.sentence, HasSubstr("certificate revoked"));
}

TEST(TlsServer, RefusesACertificateWhoseRevocationItCannotTell) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  bed.client_certificate(bed.authority.issue({.common_name = "phone"}));
  bed.server.crl_files = {bed.folder.write("ca.crl", bed.authority.crl({}, -60, -kTestDay))};
  EXPECT_THAT(bed.load_server()->warnings(), ElementsAre(HasSubstr("ca.crl ended at")));
  EXPECT_EQ(bed.run().server.failed, "no_current_crl");
  bed.server.crl_files = {bed.folder.write("other.crl", TestAuthority("Other CA").crl({}))};
  EXPECT_EQ(bed.run().server.failed, "no_current_crl");
}

TEST(TlsServer, ReadsRevocationsOfEveryIssuer) {
  TlsTestBed bed;
  bed.ask_for_certificates(ClientCertificates::required);
  const TestAuthority middle("Middle CA", &bed.authority);
  const TestCertificate phone = middle.issue({.common_name = "phone"});
  bed.client_certificate(phone);
  const auto open_with = [&](const std::string& root, const std::string& below) {
    bed.server.crl_files = {bed.folder.write("all.crl", root + below)};
    return bed.run().server.failed;
  };
  EXPECT_EQ(open_with(bed.authority.crl({}), middle.crl({})), "");
  EXPECT_EQ(open_with(bed.authority.crl({}), middle.crl({phone})), "revoked_certificate");
  EXPECT_EQ(open_with(bed.authority.crl({{middle.certificate(), ""}}), middle.crl({})),
            "revoked_certificate");
  EXPECT_EQ(open_with(bed.authority.crl({}), ""), "no_current_crl");
}

// --- OCSP ---

// What is stapled to a handshake.
std::string stapled(const TlsServer& server) {
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  auto client = TlsTransport::make(context.get(), false, nullptr);
  SSL* const ssl = client->ssl();
  SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
  TestPair pair(std::move(client), server.accept(TlsTestBed::now()));
  pair.run();
  EXPECT_TRUE(pair.open()) << pair.server.sentence;
  const unsigned char* bytes = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
  return size > 0 ? std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)) : "";
}

struct OcspBed : TlsTestBed {
  TestAuthority middle{"Middle CA", &authority};
  TestCertificate made = middle.issue({.common_name = "broker", .dns = {"broker.example"}});

  OcspBed() { server.certificates = {files("server", made)}; }
  void staple(const std::string& der) { server.certificates[0].ocsp = folder.write("server.ocsp", der); }
};

TEST(TlsServerOcsp, StaplesTheResponseToWhoeverAsks) {
  OcspBed bed;
  EXPECT_EQ(stapled(*bed.load_server()), "");
  const std::string response = bed.middle.ocsp(bed.made);
  bed.staple(response);
  const auto server = bed.load_server();
  EXPECT_EQ(stapled(*server), response);
  EXPECT_TRUE(bed.run().open()) << "who does not ask";
  EXPECT_NEAR(static_cast<double>(server->certificates()[0].ocsp_until - bed.now()), 1000.0 * kTestDay,
              60'000);
  EXPECT_THAT(server->warnings(), IsEmpty());
}

TEST(TlsServerOcsp, DoesNotStapleWhatHasEndedAndSaysSo) {
  OcspBed bed;
  bed.staple(bed.middle.ocsp(bed.made, V_OCSP_CERTSTATUS_GOOD, -60, -kTestDay));
  const auto server = bed.load_server();
  EXPECT_EQ(stapled(*server), "");
  EXPECT_THAT(server->warnings(), ElementsAre(HasSubstr("is not stapled: fetch a new one")));
}

TEST(TlsServerOcsp, RefusesResponsesThatAreNotForItsCertificate) {
  OcspBed bed;
  bed.staple(bed.middle.ocsp(bed.middle.issue({.common_name = "other"})));
  EXPECT_THAT(bed.load_error(), HasSubstr("server.ocsp is about another certificate than CN=broker"));
  bed.staple(TestAuthority("Other CA").ocsp(bed.made));
  EXPECT_THAT(bed.load_error(), HasSubstr("server.ocsp was not signed by the issuer"));
  bed.staple(bed.middle.ocsp(bed.made, V_OCSP_CERTSTATUS_REVOKED));
  EXPECT_THAT(bed.load_error(), HasSubstr("is revoked: get a new certificate"));
  bed.staple(bed.middle.ocsp(bed.made, V_OCSP_CERTSTATUS_UNKNOWN));
  EXPECT_THAT(bed.load_error(), HasSubstr("does not know the certificate CN=broker"));
  bed.staple(bed.middle.ocsp(bed.made, V_OCSP_CERTSTATUS_GOOD, kTestDay, kTestHour));
  EXPECT_THAT(bed.load_error(), HasSubstr("is of the future"));
  bed.staple("garbage");
  EXPECT_THAT(bed.load_error(), HasSubstr("DER is expected"));
  bed.server.certificates[0].ocsp = bed.folder.path("absent");
  EXPECT_THAT(bed.load_error(), HasSubstr("absent cannot be read: no such file"));
}

TEST(TlsServerOcsp, ChecksByNameAndNumberWithoutTheIssuersCertificate) {
  TlsTestBed bed;
  const TestCertificate made = bed.authority.issue({.common_name = "broker", .dns = {"broker.example"}});
  bed.server.certificates = {bed.files("server", made)};
  bed.server.certificates[0].ocsp = bed.folder.write("server.ocsp", bed.authority.ocsp(made));
  EXPECT_NE(stapled(*bed.load_server()), "");
  bed.folder.write("server.ocsp", bed.authority.ocsp(bed.authority.issue({.common_name = "x"})));
  EXPECT_THAT(bed.load_error(), HasSubstr("about another certificate"));
}

// --- tickets ---

struct TicketBed : TlsTestBed {
  std::shared_ptr<TlsClient> phone;
  WallMs time = now();

  // Whether the phone, coming back to what is configured now, needed no full handshake.
  bool resumes(const std::shared_ptr<const TlsServer>& loaded) {
    TestPair pair(phone->connect("broker.example"), loaded->accept(time));
    pair.run();
    EXPECT_TRUE(pair.open()) << pair.server.sentence << pair.client.sentence;
    return pair.open() && pair.server.transport->tls()->resumed;
  }
};

TEST(TlsServerTickets, BringAClientBackWithoutAFullHandshakeAlsoAfterAReload) {
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    TicketBed bed;
    bed.client.version_max = version;
    bed.phone = bed.load_client();
    EXPECT_FALSE(bed.resumes(bed.load_server()));
    EXPECT_TRUE(bed.resumes(bed.load_server())) << "another configuration, the same keys";
    EXPECT_TRUE(bed.resumes(bed.load_server())) << "and again";
    bed.tickets = std::make_shared<TicketKeys>();
    EXPECT_FALSE(bed.resumes(bed.load_server())) << "other keys, as after a restart";
  }
}

TEST(TlsServerTickets, OutliveOneChangeOfKeysAndNotTwo) {
  TicketBed bed;
  bed.phone = bed.load_client();
  const WallMs lifetime_ms = bed.server.ticket_lifetime.count() * 1000;
  const auto server = bed.load_server();
  EXPECT_FALSE(bed.resumes(server));
  bed.time += lifetime_ms + 1;
  EXPECT_TRUE(bed.resumes(server)) << "the former key opens it, the new one issues the next";
  bed.time += lifetime_ms + 1;
  EXPECT_TRUE(bed.resumes(server));
  bed.time += 2 * lifetime_ms + 1;
  EXPECT_FALSE(bed.resumes(server));
}

TEST(TlsServerTickets, AreNotIssuedWhenTheirLifetimeIsZero) {
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    TicketBed bed;
    bed.client.version_max = version;
    bed.server.ticket_lifetime = std::chrono::seconds(0);
    bed.phone = bed.load_client();
    const auto server = bed.load_server();
    EXPECT_FALSE(bed.resumes(server));
    EXPECT_FALSE(bed.resumes(server));
  }
}

TEST(TlsServerTickets, CarryTheClientsCertificateAndEndWithNewRevocations) {
  for (const Version version : {Version::tls1_2, Version::tls1_3}) {
    TicketBed bed;
    bed.ask_for_certificates(ClientCertificates::required);
    bed.server.crl_files = {bed.folder.write("ca.crl", bed.authority.crl({}))};
    const TestCertificate made = bed.authority.issue({.common_name = "phone-17"});
    bed.client_certificate(made);
    bed.client.version_max = version;
    bed.phone = bed.load_client();
    const auto server = bed.load_server();
    EXPECT_FALSE(bed.resumes(server));
    TestPair pair(bed.phone->connect("broker.example"), server->accept(bed.time));
    pair.run();
    ASSERT_TRUE(pair.open());
    EXPECT_TRUE(pair.server.transport->tls()->resumed);
    EXPECT_EQ(pair.server.transport->tls()->certificate->common_name, "phone-17");

    bed.folder.write("ca.crl", bed.authority.crl({made}));
    TestPair revoked(bed.phone->connect("broker.example"), bed.load_server()->accept(bed.time));
    revoked.run();
    EXPECT_EQ(revoked.server.failed, "revoked_certificate") << revoked.server.sentence;
  }
}

TEST(TlsServerTickets, OfAConfigurationWithoutClientCertificatesAreNoneWhereTheyAreRequired) {
  TicketBed bed;
  bed.phone = bed.load_client();
  EXPECT_FALSE(bed.resumes(bed.load_server()));
  bed.ask_for_certificates(ClientCertificates::required);
  TestPair pair(bed.phone->connect("broker.example"), bed.load_server()->accept(bed.time));
  pair.run();
  EXPECT_EQ(pair.server.failed, "no_certificate");
}

// --- a configuration that is replaced ---

TEST(TlsServer, ThatWasReplacedServesItsConnectionsToTheirEnd) {
  TlsTestBed bed;
  auto server = bed.load_server();
  TestPair opening(bed.load_client()->connect("broker.example"), server->accept(bed.now()));
  TestPair open(bed.load_client()->connect("broker.example"), server->accept(bed.now()));
  open.run();
  server.reset();
  opening.run();
  EXPECT_TRUE(opening.open());
  open.client.say("still here");
  open.run();
  EXPECT_EQ(open.server.plain, "still here");
}

// --- what does not load ---

TEST(TlsServerLoad, NamesTheFileAndWhatToDo) {
  TlsTestBed bed;
  const CertificateFiles good = bed.server.certificates[0];
  CertificateFiles& files = bed.server.certificates[0];

  files.certificate = bed.folder.path("absent.pem");
  EXPECT_EQ(bed.load_error(),
            "the certificate " + files.certificate + " cannot be read: no such file or directory");
  files.certificate = "";
  EXPECT_EQ(bed.load_error(), "the certificate: no file is named");
  files.certificate = bed.folder.write("empty.pem", "");
  EXPECT_THAT(bed.load_error(), HasSubstr("empty.pem has no certificate in it: PEM is expected"));
  files.certificate =
      bed.folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(bed.load_error(), HasSubstr("broken.pem: certificate number 1 in it is broken"));
  files = good;
  files.key = bed.folder.path("absent.key");
  EXPECT_THAT(bed.load_error(), HasSubstr("the private key " + files.key + " cannot be read"));
  files.key = bed.folder.write("no.key", "garbage");
  EXPECT_THAT(bed.load_error(), HasSubstr("no.key cannot be used"));
  files.key = bed.folder.write("other.key", bed.authority.issue({.common_name = "x"}).key);
  EXPECT_THAT(bed.load_error(), HasSubstr("server.pem does not belong to the private key " + files.key));

  files = bed.files("old",
                    bed.authority.issue(
                        {.common_name = "o", .dns = {"o"}, .valid_from = -9 * kTestDay, .valid_until = -60}));
  EXPECT_THAT(bed.load_error(),
              testing::ContainsRegex("old.pem expired at 20[0-9-]+ [0-9:]+ UTC: get a new one"));
  files = bed.files("new", bed.authority.issue({.common_name = "n", .dns = {"n"}, .valid_from = kTestDay}));
  EXPECT_THAT(bed.load_error(), HasSubstr("new.pem is valid only from"));
  files = bed.files("nameless", bed.authority.issue({.organization = "Somebody"}));
  EXPECT_THAT(bed.load_error(), HasSubstr("nameless.pem has no name"));
  bed.server.certificates.clear();
  EXPECT_THAT(bed.load_error(), HasSubstr("needs a certificate and its key"));
}

TEST(TlsServerLoad, DoesNotAskForAPassphrase) {
  TlsTestBed bed;
  const KeyPtr key(EVP_EC_gen("P-256"));
  const BioPtr out(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                                     const_cast<char*>("secret")),
            1);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  bed.server.certificates[0].key = bed.folder.write("locked.key", {bytes, static_cast<size_t>(size)});
  EXPECT_THAT(bed.load_error(), HasSubstr("locked.key is encrypted"));
}

TEST(TlsServerLoad, WarnsOfWhatIsNotWrongYet) {
  TlsTestBed bed;
  EXPECT_THAT(bed.load_server()->warnings(), IsEmpty());
  ::chmod(bed.server.certificates[0].key.c_str(), 0644);
  EXPECT_THAT(bed.load_server()->warnings(),
              ElementsAre(HasSubstr("can be read by every user of this machine")));
  bed.server.certificates = {bed.files(
      "soon", bed.authority.issue({.common_name = "s", .dns = {"s"}, .valid_until = 3 * kTestDay}))};
  EXPECT_THAT(bed.load_server()->warnings(), ElementsAre(HasSubstr("soon.pem expires at")));
  TestCertificate made = bed.authority.issue({.common_name = "s", .dns = {"s"}});
  made.certificate += TestAuthority("Other CA").certificate();
  bed.server.certificates = {bed.files("chain", made)};
  EXPECT_THAT(bed.load_server()->warnings(), ElementsAre(HasSubstr("is not the issuer of the first")));
}

TEST(TlsServerLoad, ChecksTheClientsAuthorities) {
  TlsTestBed bed;
  bed.server.client_certificates = ClientCertificates::required;
  EXPECT_THAT(bed.load_error(), HasSubstr("client_ca_file does not say who issues them"));
  bed.server.client_ca_file = bed.folder.write("ca.pem", "nothing");
  EXPECT_THAT(bed.load_error(), HasSubstr("ca.pem has no certificate in it"));
  bed.server.client_ca_file = bed.server.certificates[0].certificate;
  EXPECT_THAT(bed.load_error(), HasSubstr("CN=broker is not an authority's certificate"));
  bed.server.client_ca_file = bed.folder.write("ca.pem", bed.authority.certificate());
  EXPECT_EQ(bed.load_error(), "");
  bed.server.crl_files = {bed.folder.write("bad.crl", "nothing")};
  EXPECT_THAT(bed.load_error(), HasSubstr("bad.crl cannot be used"));
  bed.server.crl_files = {bed.folder.path("absent.crl")};
  EXPECT_THAT(bed.load_error(), HasSubstr("absent.crl cannot be read"));
}

TEST(TlsServerLoad, ChecksWhatIsNoFile) {
  TlsTestBed bed;
  bed.server.ciphers = "NO-SUCH-CIPHER";
  EXPECT_THAT(bed.load_error(), HasSubstr("ciphers = \"NO-SUCH-CIPHER\" names no cipher"));
  bed.server.ciphers = ServerOptions().ciphers;
  bed.server.ciphersuites = "NO_SUCH_SUITE";
  EXPECT_THAT(bed.load_error(), HasSubstr("NO_SUCH_SUITE"));
  bed.server.ciphersuites = ServerOptions().ciphersuites;
  bed.server.ticket_lifetime = std::chrono::hours(7 * 24 + 1);
  EXPECT_THAT(bed.load_error(), HasSubstr("ticket_lifetime is 0 (no tickets) to 7 days"));
  bed.server.ticket_lifetime = std::chrono::hours(1);
  bed.server.alpn = {""};
  EXPECT_THAT(bed.load_error(), HasSubstr("1 to 255 bytes"));
}

TEST(TlsClientLoad, NamesTheFileAndWhatToDo) {
  TlsTestBed bed;
  const auto error = [&] {
    const auto loaded = TlsClient::load(bed.client);
    return loaded ? "" : loaded.error().message;
  };
  bed.client.certificate = bed.server.certificates[0].certificate;
  EXPECT_THAT(error(), HasSubstr("only one is given"));
  bed.client.key = bed.folder.write("other.key", bed.authority.issue({.common_name = "x"}).key);
  EXPECT_THAT(error(), HasSubstr("does not belong to the private key"));
  bed.client.key = bed.server.certificates[0].key;
  EXPECT_EQ(error(), "");
  bed.client.ca_file = bed.folder.path("absent");
  EXPECT_THAT(error(), HasSubstr("the certificate authority " + bed.client.ca_file + " cannot be read"));
}

}  // namespace
}  // namespace courier::net::tls
