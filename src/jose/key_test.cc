#include "jose/key_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "jose/base64url.h"
#include "jose/errc.h"
#include "jose/jose_test_keys.h"
#include "jose/limits.h"

namespace courier::jose {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::error_code code_of(std::string_view text) {
  const auto set = KeySet::parse(text);
  return set ? std::error_code() : set.error().code;
}
std::string error_of(std::string_view text) {
  const auto set = KeySet::parse(text);
  return set ? "" : set.error().message;
}

TEST(Keys, EveryTypeIsReadFromPem) {
  EXPECT_EQ(test::rsa_of_this_run().checking().type(), KeyType::rsa);
  EXPECT_EQ(test::fresh_ec("P-256").checking().type(), KeyType::ec_p256);
  EXPECT_EQ(test::fresh_ec("P-384").checking().type(), KeyType::ec_p384);
  EXPECT_EQ(test::fresh_ec("P-521").checking().type(), KeyType::ec_p521);
  EXPECT_EQ(test::fresh_ed25519().checking().type(), KeyType::ed25519);
  EXPECT_FALSE(test::fresh_ed25519().checking().can_sign());
  EXPECT_TRUE(test::fresh_ed25519().signing().can_sign());
}

TEST(Keys, AFileMayHoldSeveralPemBlocks) {
  const auto set =
      KeySet::parse(test::rsa_of_this_run().public_pem + "a comment\n" + test::fresh_ed25519().public_pem);
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->size(), 2u);
  EXPECT_EQ(set->keys()[1].type(), KeyType::ed25519);
}

TEST(Keys, AnRsaKeyBelow2048BitsIsTooWeak) {
  EXPECT_EQ(code_of(test::fresh_rsa(1024).public_pem), errc::weak_key);
  EXPECT_THAT(error_of(test::fresh_rsa(1024).private_pem), HasSubstr("1024 bits is too weak"));
}

TEST(Keys, CurvesWithoutAnAlgorithmAreRefusedByName) {
  EXPECT_THAT(error_of(test::fresh_ec("secp256k1").public_pem), HasSubstr("secp256k1"));
  EXPECT_EQ(code_of(test::fresh_ec("secp256k1").public_pem), errc::bad_key);
}

TEST(Keys, DamagedAndForeignPemIsRefused) {
  std::string pem = test::fresh_ed25519().public_pem;
  pem[40] = pem[40] == 'A' ? 'B' : 'A';
  pem.erase(50, 4);
  EXPECT_EQ(code_of(pem), errc::bad_key);
  EXPECT_EQ(code_of("-----BEGIN PUBLIC KEY-----\nAAAA\n"), errc::bad_key);
  EXPECT_EQ(code_of("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
            errc::bad_key);
  EXPECT_THAT(error_of("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
              HasSubstr("passphrase"));
  EXPECT_EQ(code_of(""), errc::no_keys);
  EXPECT_EQ(code_of("hunter2"), errc::bad_key);
  EXPECT_EQ(code_of(std::string(kKeySetBytesMax + 1, ' ')), errc::too_large);
}

TEST(Keys, APublicKeyIsNeverTakenForASharedSecret) {
  const auto secret = Key::secret(test::rsa_of_this_run().public_pem);
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code, errc::bad_key);
  EXPECT_THAT(secret.error().message, HasSubstr("a public key as a secret"));
  EXPECT_EQ(Key::secret("").error().code, errc::bad_key);
  EXPECT_EQ(Key::secret(std::string(kSecretBytesMax + 1, 'x')).error().code, errc::bad_key);
}

TEST(Jwk, ThePublishedKeysAreRead) {
  for (const auto& each : test::kPublished) {
    const auto set = KeySet::parse(each.jwk);
    ASSERT_TRUE(set) << each.where << set.error().message;
  }
}

// RFC 7517, appendix A.2 (its EC key) and RFC 8037, appendix A.1.
TEST(Jwk, PrivateHalvesAreReadAndMustFitThePublicOnes) {
  const std::string ec = R"({{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",)"
                         R"("y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"{}","kid":"1"}})";
  const auto good =
      KeySet::parse(fmt::format(fmt::runtime(ec), "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"));
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_TRUE(good->keys()[0].can_sign());
  EXPECT_EQ(good->keys()[0].id(), "1");
  EXPECT_THAT(error_of(fmt::format(fmt::runtime(ec), "970MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE")),
              HasSubstr("does not belong"));
  EXPECT_THAT(error_of(R"({"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",)"
                       R"("x":"21qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"),
              HasSubstr("does not belong"));
}

TEST(Jwk, WhatIsNoKeyIsRefusedWithItsReason) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"kid":"1"})", "\"kty\" is missing"},
      {R"({"kty":7})", "\"kty\" is not text"},
      {R"({"kty":"quantum"})", "key type \"quantum\" is not known"},
      {R"({"kty":"oct"})", "\"k\" is missing"},
      {R"({"kty":"oct","k":"a+b="})", "not of base64url"},
      {R"({"kty":"oct","k":"AAAA","use":"enc"})", "for encryption"},
      {R"({"kty":"oct","k":"AAAA","key_ops":["encrypt"]})", "not for signatures"},
      {R"({"kty":"oct","k":"AAAA","alg":"RS256"})", "it says \"alg\": \"RS256\", but it is a shared secret"},
      {R"({"kty":"oct","k":"AAAA","alg":"A128KW"})", "algorithm \"A128KW\" is not known"},
      {R"({"kty":"RSA","e":"AQAB","n":"AQAB"})", "17 bits is too weak"},
      {R"({"kty":"RSA","e":"AQAB","n":"AQAA"})", "no RSA key has this modulus"},
      {R"({"kty":"RSA","e":"AQ","n":"AQAB"})", "no RSA key has this modulus"},
      {R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})", "have 32 bytes each"},
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})",
       "no point of P-256"},
      {R"({"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"})", "curve \"secp256k1\" is not known"},
      {R"({"kty":"OKP","crv":"X25519","x":"AAAA"})", "curve \"X25519\" is not known"},
      {R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})", "has 32 bytes"},
      {R"({"kty":"oct","k":"AAAA","kty":"RSA"})", "stands twice"},
      {R"({"keys":{}})", "not a list"},
      {R"({"keys":[]})", "has no keys"},
      {R"([1,2])", "neither PEM"},
      {R"({"kty":"oct","k":"AAAA"} trailing)", "not JSON"},
  };
  for (const auto& [jwk, reason] : cases) EXPECT_THAT(error_of(jwk), HasSubstr(reason)) << jwk;
  std::string huge(2000, '\xFF');
  EXPECT_THAT(error_of(R"({"kty":"RSA","e":"AQAB","n":")" + base64url(huge) + "\"}"), HasSubstr("too large"));
  EXPECT_EQ(code_of(R"({"kty":"oct","k":"AAAA","kid":")" + std::string(kKeyIdBytesMax + 1, 'k') + "\"}"),
            errc::bad_key);
}

TEST(Jwks, KeysThatAreNotUnderstoodAreLeftOutAndNamed) {
  const auto set = KeySet::parse(R"({"keys":[{"kty":"oct","k":"AAAA","kid":"a"},{"kty":"quantum"},)"
                                 R"({"kty":"oct","k":"BBBB","kid":"b"}],"more":1})");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->size(), 2u);
  EXPECT_TRUE(set->has_id("b"));
  EXPECT_FALSE(set->has_id("c"));
  EXPECT_THAT(set->skipped(), ElementsAre("key 2: the key type \"quantum\" is not known"));
  EXPECT_EQ(code_of(R"({"keys":[{"kty":"quantum"}]})"), errc::no_keys);
  std::string many = R"({"keys":[)";
  for (size_t i = 0; i <= kKeysMax; ++i) many += R"({"kty":"oct","k":"AAAA"},)";
  many.back() = ']';
  EXPECT_EQ(code_of(many + "}"), errc::too_large);
}

}  // namespace
}  // namespace courier::jose
