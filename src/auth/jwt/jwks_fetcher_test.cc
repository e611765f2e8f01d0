#include "auth/jwt/jwks_fetcher.h"

#include <condition_variable>
#include <latch>
#include <optional>

#include <fmt/format.h>

#include "auth/jwt/jwt_test_bed.h"
#include "auth/jwt/limits.h"
#include "http/http_test_server.h"
#include "jose/base64url.h"

namespace courier::auth::jwt {
namespace {

using http::test::answer;
using http::test::Server;
using mqtt::ReasonCode;

// An endpoint whose answer the test changes, and whose requests it awaits.
class Endpoint {
 public:
  explicit Endpoint(std::string first, Server::Tls tls = Server::Tls::off)
      : answer_(std::move(first)), server_([this](const std::string&) { return next(); }, tls) {}

  void set(std::string next) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(next);
  }
  void await_requests(int count) {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [&] { return requests_ >= count; });
  }
  int requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  Server& server() { return server_; }

 private:
  std::string next() {
    const std::lock_guard lock(mutex_);
    ++requests_;
    asked_.notify_all();
    return answer_;
  }

  std::mutex mutex_;
  std::condition_variable asked_;
  int requests_ = 0;
  std::string answer_;
  Server server_;
};

// A JWKS of one Ed25519 key.
struct Named {
  explicit Named(const std::string& id) : pair(jose::test::fresh_ed25519()), key(pair.signing()) {
    key.set_id(id);
    BIO* bio = ::BIO_new_mem_buf(pair.public_pem.data(), static_cast<int>(pair.public_pem.size()));
    EVP_PKEY* handle = ::PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
    std::string x(32, '\0');
    size_t size = x.size();
    CHECK(::EVP_PKEY_get_raw_public_key(handle, reinterpret_cast<unsigned char*>(x.data()), &size) == 1);
    ::EVP_PKEY_free(handle);
    ::BIO_free(bio);
    jwk = fmt::format(R"({{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{}"}})", id, jose::base64url(x));
  }
  std::string set() const { return "{\"keys\":[" + jwk + "]}"; }
  jose::test::KeyPair pair;
  jose::Key key;
  std::string jwk;
};

class JwksTest : public JwtTestBed {
 protected:
  void open_with(const std::string& url) {
    options_.secret_file.clear();
    options_.jwks_url = url;
    open();
  }
  double fetches(const std::string& result) {
    return registry_.value("courier_jwks_fetches_total", {{"result", result}}).value_or(-1);
  }
  // The fetcher publishes, then counts; nothing else tells that it is through.
  void await_fetches(const std::string& result, double count) {
    while (fetches(result) < count) std::this_thread::yield();
  }
};

TEST_F(JwksTest, TokensAreCheckedWithTheKeysOfTheEndpoint) {
  const Named one("one");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url("/jwks.json"));
  await_fetches("good", 1);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, AFirstFetchThatFailsDoesNotStopTheStartAndSaysUnavailable) {
  const Named one("one");
  Endpoint endpoint(answer("", "", "503 Down"));
  open_with(endpoint.server().url());
  await_fetches("failed", 1);
  const Decision decision = decide("17", token(R"({"rid":"17"})", one.key));
  EXPECT_EQ(decision.verdict, Verdict::deny);
  EXPECT_EQ(decision.reason, ReasonCode::server_unavailable);
  EXPECT_EQ(count("no_keys"), 1);
  // It is asked again without anybody's doing.
  endpoint.set(answer(one.set()));
  await_fetches("good", 1);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, AnUnknownKeyIdMakesItAskButNotMoreThanEveryTenSeconds) {
  const Named one("one"), two("two"), three("three");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  endpoint.set(answer(two.set()));
  clock_.pass(kHurryNs / kNsPerMs);
  expect_refused(decide("17", token(R"({"rid":"17"})", two.key)), "unknown_key", "no key has the id \"two\"");
  await_fetches("good", 2);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", two.key)).verdict, Verdict::allow);
  // The key that was rotated out is gone, and asking for it so soon makes no request.
  expect_refused(decide("17", token(R"({"rid":"17"})", one.key)), "unknown_key", "no key has the id \"one\"");
  clock_.pass(kHurryNs / kNsPerMs - 1);
  decide("17", token(R"({"rid":"17"})", three.key));
  EXPECT_EQ(endpoint.requests(), 2);
  clock_.pass(1);
  decide("17", token(R"({"rid":"17","again":1})", three.key));
  endpoint.await_requests(3);
}

TEST_F(JwksTest, WhileTheEndpointIsDownTheLastKeysStayAndTheirAgeGrows) {
  const Named one("one"), two("two");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  EXPECT_EQ(registry_.value("courier_jwks_age_seconds"), 0);
  const std::string rubbish[] = {answer("not json"), answer("{\"keys\":[]}"), answer("", "", "500 No"),
                                 "SSH-2.0\r\n", answer(std::string(2'000'000, ' '))};
  double failed = 0;
  for (const std::string& each : rubbish) {
    endpoint.set(each);
    clock_.pass(kHurryNs / kNsPerMs);
    decide("17", token(fmt::format(R"({{"rid":"17","n":{}}})", failed), two.key));
    await_fetches("failed", ++failed);
    EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
  }
  EXPECT_EQ(registry_.value("courier_jwks_age_seconds"), 50);
  authenticator_.reset();
  EXPECT_EQ(registry_.value("courier_jwks_age_seconds"), 0);
}

TEST_F(JwksTest, TheSameAnswerAgainKeepsWhatWasCached) {
  const Named one("one"), two("two");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  const std::string good = token(R"({"rid":"17"})", one.key);
  decide("17", good);
  clock_.pass(kHurryNs / kNsPerMs);
  decide("17", token(R"({"rid":"17"})", two.key));
  await_fetches("good", 2);
  decide("17", good);
  EXPECT_EQ(count("cached"), 1);
}

TEST_F(JwksTest, AReloadAsksTheEndpointAtOnce) {
  const Named one("one"), two("two");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  endpoint.set(answer(two.set()));
  authenticator_->prepare_reload().value()();
  await_fetches("good", 2);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", two.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, WhatTakesItsPlaceKeepsTheKeysOfTheSameEndpointWhileItIsDown) {
  const Named one("one");
  Endpoint endpoint(answer(one.set()));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  endpoint.set(answer("", "", "503 Down"));
  options_.leeway_ms = 1000;
  const auto old = std::move(authenticator_);
  auto opened = JwtAuthenticator::open(options_, registry_, clock_, old.get());
  ASSERT_TRUE(opened);
  authenticator_ = std::move(*opened);
  await_fetches("failed", 1);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, SharedSecretsOfAnEndpointAreNotTaken) {
  const Named one("one");
  Endpoint endpoint(answer(R"({"keys":[{"kty":"oct","k":"c2VjcmV0"},)" + one.jwk + "]}"));
  open_with(endpoint.server().url());
  await_fetches("good", 1);
  expect_refused(decide("17", token(R"({"rid":"17"})", jose::Key::secret("secret").value())),
                 "invalid_signature", "shared secret");
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, OverTlsOnlyTheOneWithTheRightCertificateIsBelieved) {
  const Named one("one");
  Endpoint endpoint(answer(one.set()), Server::Tls::on);
  open_with(endpoint.server().url());
  await_fetches("failed", 1);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).reason, ReasonCode::server_unavailable);
  write("ca.pem", endpoint.server().certificate_pem());
  options_.jwks_ca_file = path("ca.pem");
  open();
  await_fetches("good", 1);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", one.key)).verdict, Verdict::allow);
}

TEST_F(JwksTest, AnEndpointThatHangsHoldsUpNeitherClientsNorTheEnd) {
  std::latch arrived(1), release(1);
  Server server([&](const std::string&) {
    arrived.count_down();
    release.wait();
    return answer("");
  });
  options_.jwks_url = server.url();
  options_.jwks_timeout_ms = 600'000;
  open();
  arrived.wait();
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::allow);  // by the secret file
  authenticator_.reset();
  release.count_down();
}

TEST(JwksFetcher, TheNextFetchIsWhenCacheControlSaysWithinLimits) {
  const auto after = [](const char* header) {
    const std::string text = header;
    return JwksFetcher::refresh_ms_after(&text, 600'000);
  };
  EXPECT_EQ(JwksFetcher::refresh_ms_after(nullptr, 600'000), 600'000);
  EXPECT_EQ(after("public, max-age=3600"), 3'600'000);
  EXPECT_EQ(after("Public,Max-Age=3600"), 3'600'000);
  EXPECT_EQ(after("max-age=1"), kRefreshMsMin);
  EXPECT_EQ(after("max-age=99999999"), kRefreshMsMax);
  EXPECT_EQ(after("max-age=99999999999999999999999"), kRefreshMsMax);
  EXPECT_EQ(after("s-maxage=7200, max-age=3600"), 3'600'000);
  EXPECT_EQ(after("x-max-age=7200"), 600'000);
  for (const char* none : {"no-store", "max-age=0", "max-age=", "max-age=-5", "max-age=soon", ""}) {
    EXPECT_EQ(after(none), 600'000) << none;
  }
}

}  // namespace
}  // namespace courier::auth::jwt
