#include "auth/jwt/jwt_authenticator.h"

#include <fmt/format.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>

#include "auth/jwt/errc.h"
#include "auth/jwt/jwt_test_bed.h"
#include "auth/jwt/limits.h"
#include "jose/base64url.h"
#include "jose/digest.h"
#include "jose/errc.h"

namespace courier::auth::jwt {
namespace {

using mqtt::ReasonCode;
using testing::HasSubstr;

using JwtAuthenticatorTest = JwtTestBed;

constexpr int64_t kNow = kToday / 1000;

TEST_F(JwtAuthenticatorTest, AGoodTokenGivesTheUsersIdentity) {
  open();
  const Decision decision = decide("17", token(fmt::format(R"({{"rid":"17","exp":{}}})", kNow + 60)));
  EXPECT_EQ(decision.verdict, Verdict::allow) << decision.why;
  EXPECT_EQ(decision.identity.username, "17");
  EXPECT_EQ(decision.identity.mountpoint, "listener's");
  EXPECT_FALSE(decision.identity.anonymous);
  EXPECT_EQ(decision.expires_at, kToday + 60'000);
  EXPECT_EQ(decision.client_id, std::nullopt);
  EXPECT_TRUE(decision.grants.empty());
  EXPECT_EQ(count("accepted"), 1);
}

TEST_F(JwtAuthenticatorTest, ARidThatIsANumberEqualsItsText) {
  open();
  EXPECT_EQ(decide("17", token(R"({"rid":17})")).verdict, Verdict::allow);
}

TEST_F(JwtAuthenticatorTest, WhatIsNoTokenIsLeftToTheNextInTheChain) {
  open();
  for (const auto& password :
       {std::optional<std::string>(), std::optional<std::string>(""), std::optional<std::string>("hunter2"),
        std::optional<std::string>("a.b"), std::optional<std::string>("a.b.c.d"),
        std::optional<std::string>("pass word.x.y")}) {
    EXPECT_EQ(decide("17", password).verdict, Verdict::next);
  }
  EXPECT_EQ(registry_.total("courier_jwt_checks_total"), 0);
}

// Each kind of failure: denied with not_authorized, never left to the next, and counted apart.
TEST_F(JwtAuthenticatorTest, EveryFailureIsDeniedAndCountedApart) {
  options_.issuer = "https://id.example";
  options_.audiences = {"courier"};
  options_.required_claims = {"tenant"};
  open();
  const auto claims = [](const std::string& more) {
    return R"({"rid":"17","iss":"https://id.example","aud":"courier","tenant":"a")" + more + "}";
  };
  EXPECT_EQ(decide("17", token(claims(""))).verdict, Verdict::allow);

  expect_refused(decide("18", token(claims(""))), "username_mismatch",
                 "the user name is \"18\", but the token's is \"17\"");
  expect_refused(decide(std::nullopt, token(claims(""))), "username_mismatch",
                 "the CONNECT has no user name");
  expect_refused(decide("17", token(claims(fmt::format(",\"exp\":{}", kNow)))), "expired", "expired 0 s ago");
  expect_refused(decide("17", token(claims(fmt::format(",\"nbf\":{}", kNow + 61)))), "not_yet_valid",
                 "1 min from now");
  expect_refused(decide("17", token(claims(fmt::format(",\"iat\":{}", kNow + 1)))), "not_yet_valid",
                 "a clock is wrong");
  expect_refused(decide("17", token(claims(R"(,"exp":"never")"))), "bad_token", "\"exp\" is not a number");
  expect_refused(decide("17", token(R"({"rid":"17","iss":"https://id.example","aud":"courier"})")),
                 "missing_claim", "\"tenant\"");
  expect_refused(decide("17", token(R"({"iss":"https://id.example","aud":"courier","tenant":"a"})")),
                 "missing_claim", "\"rid\"");
  expect_refused(decide("17", token(R"({"rid":"17","tenant":"a","aud":"courier"})")), "missing_claim",
                 "\"iss\"");
  expect_refused(
      decide("17", token(R"({"rid":"17","iss":"https://evil.example","aud":"courier","tenant":"a"})")),
      "wrong_issuer", "\"iss\"");
  expect_refused(decide("17", token(R"({"rid":"17","iss":"https://id.example","aud":["web"],"tenant":"a"})")),
                 "wrong_audience", "\"aud\"");
  expect_refused(decide("17", token(claims(""), jose::Key::secret("another secret").value())),
                 "invalid_signature", "not valid");
  expect_refused(decide("17", token(claims(R"(,"rid":"17")"))), "bad_token", "\"rid\" stands twice");
  expect_refused(decide("17", token("[]")), "bad_token", "not an object");
  expect_refused(decide("17", "a.b.c"), "bad_token", "the header");
  expect_refused(decide("17", jose::base64url(R"({"alg":"none"})") + "." + jose::base64url(claims("")) + "."),
                 "bad_token", "not signed");
  expect_refused(decide("17", std::string(20'000, 'a') + ".b.c"), "bad_token", "20004 bytes");
  EXPECT_EQ(count("accepted"), 1);
}

TEST_F(JwtAuthenticatorTest, AnRsaPublicKeyAsHmacSecretIsRefused) {
  const auto& pair = jose::test::rsa_of_this_run();
  write("key.pem", pair.public_pem);
  options_.secret_file.clear();
  options_.key_files = {path("key.pem")};
  open();
  const std::string input =
      jose::base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + jose::base64url(R"({"rid":"17"})");
  expect_refused(decide("17", input + "." + jose::base64url(jose::hmac_sha256(pair.public_pem, input))),
                 "invalid_signature", "HS256, which needs a shared secret");
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", pair.signing())).verdict, Verdict::allow);
  // And as the file of the secret, by mistake.
  options_.secret_file = path("key.pem");
  EXPECT_THAT(open_error().message, HasSubstr("a public key as a secret"));
}

TEST_F(JwtAuthenticatorTest, AnAlgorithmThatIsNotListedIsRefused) {
  options_.algorithms = {jose::Algorithm::hs512};
  open();
  expect_refused(decide("17", token(R"({"rid":"17"})")), "bad_token", "signed with HS256; only HS512 may be");
  EXPECT_EQ(
      decide("17", jose::sign_jws(R"({"rid":"17"})", secret(), {.algorithm = jose::Algorithm::hs512}).value())
          .verdict,
      Verdict::allow);
}

TEST_F(JwtAuthenticatorTest, TheLeewayHoldsForTheTokenAndForItsEnd) {
  options_.leeway_ms = 5'000;
  open();
  const std::string ends = token(fmt::format(R"({{"rid":"17","exp":{}}})", kNow - 4));
  const Decision decision = decide("17", ends);
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_EQ(decision.expires_at, kToday + 1'000);
  clock_.pass(1'000);
  expect_refused(decide("17", ends), "expired", "expired 5 s ago");
}

TEST_F(JwtAuthenticatorTest, TemplatesSayNameClientAndTenant) {
  options_.username_claim.clear();
  options_.username = "{sub}";
  options_.client_id = "{tenant}-{device.id}";
  options_.mountpoint = "{tenant}";
  open();
  const std::string good = token(R"({"sub":"ann","tenant":"acme","device":{"id":"d1"}})");
  Decision decision = decide(credentials("whatever", good, "acme-d1"));
  EXPECT_EQ(decision.verdict, Verdict::allow) << decision.why;
  EXPECT_EQ(decision.identity.username, "ann");
  EXPECT_EQ(decision.identity.mountpoint, "acme");
  EXPECT_EQ(decision.client_id, std::nullopt);
  expect_refused(decide(credentials("ann", good, "acme-d2")), "client_id_mismatch", "it must be \"acme-d1\"");
  // A client that wants an id assigned gets its own.
  decision = decide(credentials("ann", good, ""));
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_EQ(decision.client_id, "acme-d1");
  expect_refused(decide(credentials("ann", token(R"({"sub":"ann","tenant":"acme"})"), "acme-d1")),
                 "missing_claim", "\"device.id\"");
}

TEST_F(JwtAuthenticatorTest, TheClientIdMayHaveToBeginWithAClaimOrBeReplaced) {
  options_.client_id = "{rid}-";
  options_.client_id_rule = ClientIdRule::prefix;
  open();
  const std::string good = token(R"({"rid":"17"})");
  EXPECT_EQ(decide(credentials("17", good, "17-phone")).verdict, Verdict::allow);
  expect_refused(decide(credentials("17", good, "170-phone")), "client_id_mismatch",
                 "must begin with \"17-\"");
  expect_refused(decide(credentials("17", good, "")), "client_id_mismatch", "must begin with \"17-\"");
  options_.client_id_rule = ClientIdRule::assign;
  open();
  EXPECT_EQ(decide(credentials("17", good, "anything")).client_id, "17-");
}

TEST_F(JwtAuthenticatorTest, RulesOfTheTokenComeAlongUnlessTheyAreSwitchedOff) {
  open();
  const std::string good = token(R"({"rid":"17","acl":[{"topic":"o/%u","access":"read","label":"orders"}]})");
  const Decision decision = decide("17", good);
  ASSERT_EQ(decision.grants.size(), 1u);
  EXPECT_EQ(decision.grants[0].filter, "o/%u");
  EXPECT_EQ(decision.grants[0].label, "orders");
  expect_refused(decide("17", token(R"({"rid":"17","acl":[{"topic":"o/%u"}]})")), "bad_token",
                 "rule 1 of the claim \"acl\"");
  options_.acl_claim.clear();
  open();
  EXPECT_TRUE(decide("17", good).grants.empty());
}

TEST_F(JwtAuthenticatorTest, ACachedTokenIsNotVerifiedAgainButItsTimeAndItsClientAre) {
  open();
  const std::string good = token(fmt::format(R"({{"rid":"17","exp":{}}})", kNow + 2));
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  EXPECT_EQ(count("accepted"), 1);
  EXPECT_EQ(count("cached"), 1);
  expect_refused(decide("18", good), "username_mismatch", "\"18\"");
  clock_.pass(2'000);
  expect_refused(decide("17", good), "expired", "expired 0 s ago");
  EXPECT_EQ(count("accepted"), 1);
}

TEST_F(JwtAuthenticatorTest, ACachedTokenOfAnotherListenerKeepsThatListenersMountpoint) {
  open();
  const std::string good = token(R"({"rid":"17"})");
  decide("17", good);
  Credentials elsewhere = credentials("17", good);
  elsewhere.mountpoint = "tenant-b";
  EXPECT_EQ(decide(elsewhere).identity.mountpoint, "tenant-b");
  EXPECT_EQ(count("cached"), 1);
}

TEST_F(JwtAuthenticatorTest, ATokenThatFailedIsLookedAtAgainAfterSeconds) {
  // The failure is of the key, which comes later; only a new generation or the time makes the token good.
  write("secret", "too early");
  open();
  const std::string good = token(R"({"rid":"17"})");
  expect_refused(decide("17", good), "invalid_signature", "not valid");
  expect_refused(decide("17", good), "invalid_signature", "not valid");
  write("secret", kSecret);
  clock_.pass(1'000);
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
}

TEST_F(JwtAuthenticatorTest, AKeyThatIsTakenAwayEndsEvenCachedTokens) {
  open();
  const std::string good = token(R"({"rid":"17"})");
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  write("secret", "the next secret, of thirty-two bytes at least");
  clock_.pass(999);
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  clock_.pass(1);
  expect_refused(decide("17", good), "invalid_signature", "not valid");
}

TEST_F(JwtAuthenticatorTest, ABadOrMissingFileLeavesTheOldKeysInForce) {
  const auto pair = jose::test::fresh_ed25519();
  write("keys.json", pair.public_pem);
  options_.key_files = {path("keys.json")};
  open();
  write("keys.json", "not keys");
  clock_.pass(1'000);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", pair.signing())).verdict, Verdict::allow);
  std::filesystem::remove(path("keys.json"));
  clock_.pass(1'000);
  EXPECT_EQ(decide("17", token(R"({"rid":"17","x":1})", pair.signing())).verdict, Verdict::allow);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::allow);
  const auto next = jose::test::fresh_ec("P-256");
  write("keys.json", next.public_pem);
  clock_.pass(1'000);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", next.signing())).verdict, Verdict::allow);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", pair.signing())).verdict, Verdict::deny);
}

TEST_F(JwtAuthenticatorTest, PreparedKeysCountAtOnceWhenTheyAreCommittedAndABadFileIsReported) {
  open();
  const auto other = jose::Key::secret("another secret that phones do not know either").value();
  write("secret", "another secret that phones do not know either");
  const auto commit = authenticator_->prepare_reload();
  ASSERT_TRUE(commit);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::allow) << "prepared only";
  (*commit)();
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", other)).verdict, Verdict::allow);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::deny);
  std::filesystem::remove(path("secret"));
  EXPECT_EQ(authenticator_->prepare_reload().error().code, jose::errc::unreadable);
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", other)).verdict, Verdict::allow);
}

TEST_F(JwtAuthenticatorTest, VerifiedTokensStaySoWhenNoFileChanged) {
  open();
  const std::string good = token(R"({"rid":"17"})");
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  authenticator_->prepare_reload().value()();
  EXPECT_EQ(decide("17", good).verdict, Verdict::allow);
  EXPECT_EQ(count("cached"), 1);
}

TEST_F(JwtAuthenticatorTest, EveryAlgorithmIsAccepted) {
  const jose::test::KeyPair pairs[] = {jose::test::rsa_of_this_run(), jose::test::fresh_ec("P-256"),
                                       jose::test::fresh_ec("P-384"), jose::test::fresh_ec("P-521"),
                                       jose::test::fresh_ed25519()};
  std::vector<jose::Key> signing = {secret()};
  for (size_t i = 0; i < std::size(pairs); ++i) {
    write(fmt::format("{}.pem", i), pairs[i].public_pem);
    options_.key_files.push_back(path(fmt::format("{}.pem", i)));
    signing.push_back(pairs[i].signing());
  }
  open();
  double accepted = 0;
  for (const jose::Algorithm algorithm : jose::all_algorithms()) {
    for (const jose::Key& key : signing) {
      if (!key.fits(algorithm)) continue;
      const auto made = jose::sign_jws(R"({"rid":"17"})", key, {.algorithm = algorithm});
      EXPECT_EQ(decide("17", *made).verdict, Verdict::allow) << jose::name(algorithm);
      EXPECT_EQ(decide("17", *made).verdict, Verdict::allow) << jose::name(algorithm);
      EXPECT_EQ(count("accepted"), ++accepted);
      EXPECT_EQ(count("cached"), accepted);
    }
  }
  EXPECT_EQ(accepted, 13);
}

TEST_F(JwtAuthenticatorTest, AFullQueueIsServerBusyAndEveryoneElseIsAnswered) {
  const auto pair = jose::test::fresh_ed25519();
  write("key.pem", pair.public_pem);
  options_.key_files = {path("key.pem")};
  options_.workers = 1;
  options_.queue_max = 2;
  open();
  const auto fresh = [&] {
    static int n = 0;

    return token(fmt::format(R"({{"rid":"17","jti":{}}})", n++), pair.signing());
  };
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  std::latch answered(3);
  std::vector<Decision> decisions(3);
  // The first answer holds the only worker, so the next two wait in the queue.
  authenticator_->authenticate(credentials("17", fresh()), [&](Decision decision) {
    decisions[0] = std::move(decision);
    entered.set_value();
    released.wait();
    answered.count_down();
  });
  entered.get_future().wait();
  for (size_t i = 1; i < 3; ++i) {
    authenticator_->authenticate(credentials("17", fresh()), [&, i](Decision decision) {
      decisions[i] = std::move(decision);
      answered.count_down();
    });
  }
  const Decision busy = decide("17", fresh());
  EXPECT_EQ(busy.verdict, Verdict::deny);
  EXPECT_EQ(busy.reason, ReasonCode::server_busy);
  EXPECT_EQ(count("busy"), 1);
  // A shared secret needs no worker.
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::allow);
  release.set_value();
  answered.wait();
  for (const Decision& decision : decisions) EXPECT_EQ(decision.verdict, Verdict::allow);
}

TEST_F(JwtAuthenticatorTest, StopsWhileAnswersArePending) {
  const auto pair = jose::test::fresh_ed25519();
  write("key.pem", pair.public_pem);
  options_.key_files = {path("key.pem")};
  options_.workers = 1;
  open();
  int n = 0;
  const auto fresh = [&] { return token(fmt::format(R"({{"rid":"17","jti":{}}})", n++), pair.signing()); };
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  const auto told = std::make_shared<std::atomic<int>>(0);
  authenticator_->authenticate(credentials("17", fresh()), [&entered, released, told](Decision) {
    entered.set_value();
    released.wait();
    ++*told;
  });
  entered.get_future().wait();
  for (int i = 0; i < 20; ++i) {
    authenticator_->authenticate(credentials("17", fresh()), [told](Decision) { ++*told; });
  }
  std::thread stopping([&] { authenticator_.reset(); });
  release.set_value();
  stopping.join();
  EXPECT_GE(*told, 1) << "what ran was let finish";
  EXPECT_EQ(told.use_count(), 1);
}

TEST_F(JwtAuthenticatorTest, SettingsThatLetAnybodyTakeAnyNameDoNotOpen) {
  options_.username_claim.clear();
  EXPECT_EQ(open_error().code, errc::bad_options);
  EXPECT_THAT(open_error().message, HasSubstr("username = \"{sub}\""));
  options_.username = "{sub";
  EXPECT_EQ(open_error().code, errc::bad_template);
  options_.username = "{sub}";
  options_.secret_file.clear();
  EXPECT_THAT(open_error().message, HasSubstr("set secret_file, key_files or jwks_url"));
  options_.key_files = {path("nowhere")};
  EXPECT_EQ(open_error().code, jose::errc::unreadable);
  options_.key_files.clear();
  options_.jwks_url = "file:///etc/passwd";
  EXPECT_EQ(open_error().code, errc::bad_options);
  options_.jwks_url = "http://127.0.0.1:1/";
  options_.jwks_refresh_ms = 0;
  EXPECT_THAT(open_error().message, HasSubstr("jwks_refresh"));
  options_.workers = 0;
  EXPECT_THAT(open_error().message, HasSubstr("workers"));
}

TEST_F(JwtAuthenticatorTest, ASecretMayStandInBase64) {
  write("secret", jose::base64url(kSecret) + "==\n");
  options_.secret_base64 = true;
  open();
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})")).verdict, Verdict::allow);
  write("secret", "++//");
  open();
  EXPECT_EQ(decide("17", token(R"({"rid":"17"})", jose::Key::secret("\xfb\xef\xff").value())).verdict,
            Verdict::allow);
  write("secret", "not base64");
  EXPECT_EQ(open_error().code, jose::errc::bad_base64url);
}

TEST_F(JwtAuthenticatorTest, ManyAtOnceAllGetTheirOwnAnswer) {
  const auto pair = jose::test::fresh_ed25519();
  write("key.pem", pair.public_pem);
  options_.key_files = {path("key.pem")};
  open();
  const std::string good = token(R"({"rid":"17"})", pair.signing());
  constexpr int kClients = 200;
  std::latch answered(kClients);
  std::atomic<int> allowed{0}, denied{0};
  for (int i = 0; i < kClients; ++i) {
    authenticator_->authenticate(credentials(i % 2 == 0 ? "17" : "18", good), [&](Decision decision) {
      (decision.verdict == Verdict::allow ? allowed : denied)++;
      answered.count_down();
    });
  }
  answered.wait();
  EXPECT_EQ(allowed, kClients / 2);
  EXPECT_EQ(denied, kClients / 2);
}

}  // namespace
}  // namespace courier::auth::jwt
