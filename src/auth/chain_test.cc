#include "auth/chain.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "auth/anonymous.h"

namespace courier::auth {
namespace {

using mqtt::ReasonCode;

// Answers when the test says so, and remembers whom it was asked about.
class Scripted final : public Authenticator {
 public:
  void authenticate(Credentials credentials, std::function<void(Decision)> done) override {
    asked.push_back(std::move(credentials));
    pending = std::move(done);
  }
  std::vector<Credentials> asked;
  std::function<void(Decision)> pending;
};

Credentials from(std::optional<std::string> username) {
  Credentials credentials;
  credentials.mountpoint = "tenant-a";
  credentials.client_id = "phone-7";
  credentials.username = std::move(username);
  return credentials;
}

Decision decide(Authenticator& authenticator, Credentials credentials) {
  Decision got;
  int answers = 0;
  authenticator.authenticate(std::move(credentials), [&](Decision decision) {
    got = std::move(decision);
    ++answers;
  });
  EXPECT_EQ(answers, 1);
  return got;
}

template <typename... Links>
Chain chain(std::unique_ptr<Links>... link) {
  std::vector<std::shared_ptr<Authenticator>> links;
  (links.push_back(std::move(link)), ...);
  return Chain(std::move(links));
}

TEST(Anonymous, GivesWhoHasNoNameTheMountpointOfItsListener) {
  Anonymous anonymous(Anonymous::Names::not_for_me);
  const Decision decision = decide(anonymous, from(std::nullopt));
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_TRUE(decision.identity.anonymous);
  EXPECT_EQ(decision.identity.username, "");
  EXPECT_EQ(decision.identity.mountpoint, "tenant-a");
}

TEST(Anonymous, ANameIsLeftToOthersOrTakenUnchecked) {
  Anonymous strict(Anonymous::Names::not_for_me);
  EXPECT_EQ(decide(strict, from("alice")).verdict, Verdict::next);
  EXPECT_EQ(decide(strict, from("")).verdict, Verdict::next);
  Anonymous open(Anonymous::Names::unchecked);
  const Decision decision = decide(open, from("alice"));
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_EQ(decision.identity.username, "alice");
  EXPECT_TRUE(decision.identity.anonymous);
}

TEST(Chain, RefusesWhomNobodyAllowed) {
  Chain empty = chain();
  EXPECT_EQ(decide(empty, from(std::nullopt)).verdict, Verdict::deny);
  EXPECT_EQ(decide(empty, from(std::nullopt)).reason, ReasonCode::not_authorized);
  EXPECT_EQ(decide(empty, from("alice")).reason, ReasonCode::bad_user_name_or_password);
}

TEST(Chain, AsksInOrderAndEachGetsTheWholeCredentials) {
  auto owned_first = std::make_unique<Scripted>();
  auto owned_second = std::make_unique<Scripted>();
  Scripted& first = *owned_first;
  Scripted& second = *owned_second;
  Chain both = chain(std::move(owned_first), std::move(owned_second));
  Decision got;
  int answers = 0;
  both.authenticate(from("alice"), [&](Decision decision) {
    got = std::move(decision);
    ++answers;
  });
  ASSERT_EQ(first.asked.size(), 1u);
  EXPECT_EQ(second.asked.size(), 0u);
  first.pending({});  // next
  ASSERT_EQ(second.asked.size(), 1u);
  EXPECT_EQ(second.asked[0].username, "alice");
  EXPECT_EQ(second.asked[0].client_id, "phone-7");
  EXPECT_EQ(answers, 0);
  Decision allow;
  allow.verdict = Verdict::allow;
  allow.identity.username = "alice";
  second.pending(allow);
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(got.verdict, Verdict::allow);
  EXPECT_EQ(got.identity.username, "alice");
}

TEST(Chain, ADenialIsFinalEvenWhenALaterLinkWouldAllow) {
  auto owned = std::make_unique<Scripted>();
  Scripted& first = *owned;
  Chain both = chain(std::move(owned), std::make_unique<Anonymous>(Anonymous::Names::unchecked));
  Decision got;
  both.authenticate(from("alice"), [&](Decision decision) { got = std::move(decision); });
  Decision deny;
  deny.verdict = Verdict::deny;
  deny.reason = ReasonCode::server_busy;
  first.pending(deny);
  EXPECT_EQ(got.verdict, Verdict::deny);
  EXPECT_EQ(got.reason, ReasonCode::server_busy);
}

}  // namespace
}  // namespace courier::auth
