#include "jose/jws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "jose/base64url.h"
#include "jose/digest.h"
#include "jose/errc.h"
#include "jose/jose_test_keys.h"
#include "jose/limits.h"

namespace courier::jose {
namespace {

using testing::HasSubstr;
using testing::Not;

std::error_code parse_code(const std::string& token) {
  const auto jws = parse_jws(token);
  return jws ? std::error_code() : jws.error().code;
}
std::string with_header(const std::string& header) {
  return base64url(header) + "." + base64url("{}") + "." + base64url("x");
}
KeySet set_of(Key key) {
  KeySet set;
  set.add(std::move(key));
  return set;
}
Result<const Key*> check(const std::string& token, const KeySet& keys,
                         std::span<const Algorithm> allowed = all_algorithms()) {
  const auto jws = parse_jws(token);
  if (!jws) return fail(jws.error());
  return verify_jws(*jws, keys, allowed);
}
std::error_code check_code(const std::string& token, const KeySet& keys,
                           std::span<const Algorithm> allowed = all_algorithms()) {
  const auto key = check(token, keys, allowed);
  return key ? std::error_code() : key.error().code;
}

TEST(Jws, ThePublishedTokensVerifyAndNoChangedOneDoes) {
  for (const auto& each : test::kPublished) {
    const KeySet keys = KeySet::parse(each.jwk).value();
    const auto jws = parse_jws(each.token);
    ASSERT_TRUE(jws) << each.where << ": " << jws.error().message;
    EXPECT_EQ(jws->payload, each.payload != nullptr ? each.payload : test::kJoesPayload) << each.where;
    const auto key = verify_jws(*jws, keys, all_algorithms());
    EXPECT_TRUE(key) << each.where << ": " << (key ? "" : key.error().message);
    for (std::string changed = each.token;
         const size_t at : {changed.find('.') + 1, changed.rfind('.') + 3}) {
      changed = each.token;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      EXPECT_EQ(check_code(changed, keys), errc::invalid_signature) << each.where;
    }
  }
}

// RFC 8037, appendix A.4: these signatures have no randomness.
TEST(Jws, SignsEd25519AsPublished) {
  const auto& published = test::kPublished[4];
  const Key key = KeySet::parse(published.jwk)->keys()[0];
  EXPECT_EQ(sign_jws(published.payload, key, {.type = ""}).value(), published.token);
}

// The example of jwt.io, which every implementation gives.
TEST(Jws, SignsHs256AsOthersDo) {
  EXPECT_EQ(sign_jws(R"({"sub":"1234567890","name":"John Doe","iat":1516239022})",
                     Key::secret("your-256-bit-secret").value())
                .value(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
            "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
}

TEST(Jws, EveryAlgorithmVerifiesWhatItSignedAndNoOther) {
  const test::KeyPair pairs[] = {test::rsa_of_this_run(), test::fresh_ec("P-256"), test::fresh_ec("P-384"),
                                 test::fresh_ec("P-521"), test::fresh_ed25519()};
  KeySet checking;
  std::vector<Key> signing = {Key::secret("a secret of at least thirty-two bytes").value()};
  checking.add(signing[0]);
  for (const auto& pair : pairs) {
    signing.push_back(pair.signing());
    checking.add(pair.checking());
  }
  for (const Algorithm algorithm : all_algorithms()) {
    for (const Key& key : signing) {
      const auto token = sign_jws(R"({"sub":"a"})", key, {.algorithm = algorithm});
      if (key.type() != key_type(algorithm)) {
        EXPECT_EQ(token.error().code, errc::wrong_key_type);
        continue;
      }
      ASSERT_TRUE(token) << name(algorithm) << ": " << token.error().message;
      const auto found = check(*token, checking);
      ASSERT_TRUE(found) << name(algorithm) << ": " << found.error().message;
      EXPECT_EQ((*found)->type(), key_type(algorithm));
      for (const Algorithm other : all_algorithms()) {
        if (other == algorithm) continue;
        // The same bytes under another name: the header is part of what was signed.
        const std::string lying = base64url(fmt::format(R"({{"alg":"{}","typ":"JWT"}})", name(other))) +
                                  token->substr(token->find('.'));
        EXPECT_FALSE(check(lying, checking)) << name(algorithm) << " as " << name(other);
      }
    }
  }
}

TEST(Jws, APublicKeyCannotSign) {
  EXPECT_EQ(sign_jws("{}", test::rsa_of_this_run().checking()).error().code, errc::no_private_key);
}

TEST(Jws, AnUnsignedTokenIsRefusedHoweverItIsSpelt) {
  for (const char* alg : {"none", "None", "NONE", "nOnE"}) {
    EXPECT_EQ(parse_code(base64url(fmt::format(R"({{"alg":"{}"}})", alg)) + ".e30."), errc::unsigned_token);
    EXPECT_EQ(parse_code(with_header(fmt::format(R"({{"alg":"{}"}})", alg))), errc::unsigned_token);
  }
}

TEST(Jws, AnRsaPublicKeyIsNoHmacSecret) {
  // What a forger does: signs with the text of the public key, which everybody has.
  const std::string& pem = test::rsa_of_this_run().public_pem;
  const KeySet keys = set_of(test::rsa_of_this_run().checking());
  const std::string input = base64url(R"({"alg":"HS256"})") + "." + base64url("{}");
  const std::string forged = input + "." + base64url(hmac_sha256(pem, input));
  const auto refused = check(forged, keys);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::wrong_key_type);
  EXPECT_THAT(refused.error().message,
              HasSubstr("HS256, which needs a shared secret; what is here is an RSA key"));
  EXPECT_FALSE(KeySet::parse(R"({"kty":"oct","k":")" + base64url(pem) + "\"}"));
}

TEST(Jws, AnAlgorithmOutsideOfTheListIsRefusedEvenWithItsKey) {
  const Key key = Key::secret("a secret of at least thirty-two bytes").value();
  const Algorithm allowed[] = {Algorithm::hs512, Algorithm::es256};
  const auto refused = check(sign_jws("{}", key).value(), set_of(key), allowed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::algorithm_not_allowed);
  EXPECT_EQ(refused.error().message, "the token is signed with HS256; only HS512, ES256 may be");
  EXPECT_TRUE(check(sign_jws("{}", key, {.algorithm = Algorithm::hs512}).value(), set_of(key), allowed));
  EXPECT_FALSE(check(sign_jws("{}", key).value(), set_of(key), {}));
}

TEST(Jws, AKeyThatIsForOneAlgorithmDoesNoOther) {
  const KeySet keys =
      KeySet::parse(R"({"kty":"oct","alg":"HS512","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})")
          .value();
  const Key free =
      KeySet::parse(R"({"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})")->keys()[0];
  EXPECT_EQ(check_code(sign_jws("{}", free).value(), keys), errc::wrong_key_type);
  EXPECT_TRUE(check(sign_jws("{}", keys.keys()[0]).value(), keys));  // its own is what it signs with
}

TEST(Jws, HeadersThatMeanMoreThanIsUnderstoodAreRefused) {
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","crit":["exp"],"exp":1})")), errc::critical_header);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","crit":[]})")), errc::critical_header);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","b64":false,"crit":["b64"]})")), errc::critical_header);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","alg":"none"})")), errc::duplicate_member);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","x":{"y":1,"y":2}})")), errc::duplicate_member);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"ES256K"})")), errc::unknown_algorithm);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"hs256"})")), errc::unknown_algorithm);
  EXPECT_EQ(parse_code(with_header(R"({"alg":["HS256"]})")), errc::bad_header);
  EXPECT_EQ(parse_code(with_header(R"({"typ":"JWT"})")), errc::bad_header);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","typ":1})")), errc::bad_header);
  EXPECT_EQ(parse_code(with_header(R"(["HS256"])")), errc::bad_json);
  EXPECT_EQ(parse_code(with_header("{")), errc::bad_json);
  EXPECT_EQ(parse_code(with_header("{\"alg\":\"\xff\"}")), errc::bad_json);
  EXPECT_EQ(
      parse_code(with_header(R"({"alg":"HS256","a":)" + std::string(20, '[') + std::string(20, ']') + "}")),
      errc::bad_json);
}

TEST(Jws, AKeyInTheTokenIsNotUsed) {
  const auto pair = test::fresh_ed25519();
  const std::string own =
      R"({"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},)"
      R"("jku":"http://127.0.0.1:1/keys","x5u":"file:///etc/passwd"})";
  const auto& published = test::kPublished[4];
  const std::string token =
      base64url(own) + std::string(published.token).substr(std::string(published.token).find('.'));
  EXPECT_EQ(check_code(token, set_of(pair.checking())), errc::invalid_signature);
  EXPECT_EQ(check_code(token, {}), errc::unknown_key);
}

TEST(Jws, AKidSelectsTheKeyAndIsNeverOpened) {
  Key a = Key::secret("the secret of key a, long enough").value(),
      b = Key::secret("the secret of key b, long enough").value();
  a.set_id("a");
  b.set_id("b");
  KeySet keys;
  keys.add(a);
  keys.add(b);
  EXPECT_EQ((*check(sign_jws("{}", b).value(), keys))->id(), "b");
  Key wrong = a;
  wrong.set_id("b");
  EXPECT_EQ(check_code(sign_jws("{}", wrong).value(), keys), errc::invalid_signature);
  wrong.set_id("c");
  EXPECT_EQ(check_code(sign_jws("{}", wrong).value(), keys), errc::unknown_key);
  for (const char* path : {"../../../../dev/null", "/etc/passwd", "http://attacker.example/key"}) {
    wrong.set_id(path);
    const auto refused = check(sign_jws("{}", wrong).value(), keys);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::unknown_key);
    EXPECT_THAT(refused.error().message, HasSubstr("looks like a path"));
  }
  // A key without an id is for tokens with any, unless another has that id.
  keys.add(Key::secret("a key without an id, long enough").value());
  Key fresh = Key::secret("a key without an id, long enough").value();
  fresh.set_id("new");
  EXPECT_TRUE(check(sign_jws("{}", fresh).value(), keys));
  fresh.set_id("a");
  EXPECT_EQ(check_code(sign_jws("{}", fresh).value(), keys), errc::invalid_signature);
  fresh.set_id("");
  EXPECT_TRUE(check(sign_jws("{}", fresh).value(), keys));
}

TEST(Jws, AKidThatIsHugeEmptyOrUnprintableIsRefused) {
  const auto of = [](const std::string& kid) {
    return with_header(R"({"alg":"HS256","kid":)" + Json(kid).dump() + "}");
  };
  EXPECT_EQ(parse_code(of(std::string(kKeyIdBytesMax + 1, 'k'))), errc::bad_kid);
  EXPECT_EQ(parse_code(of(std::string(kKeyIdBytesMax, 'k'))), std::error_code());
  EXPECT_EQ(parse_code(of("")), errc::bad_kid);
  EXPECT_EQ(parse_code(of("a\nb")), errc::bad_kid);
  EXPECT_EQ(parse_code(of(std::string("a\0b", 3))), errc::bad_kid);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256","kid":{"a":1}})")), errc::bad_header);
}

TEST(Jws, SignaturesOfTheWrongLengthAreRefusedBeforeAnyArithmetic) {
  const auto pair = test::fresh_ec("P-256");
  const KeySet keys = set_of(pair.checking());
  const std::string token = sign_jws("{}", pair.signing()).value();
  const std::string input = token.substr(0, token.rfind('.'));
  const std::string signature = decode_base64url(token.substr(token.rfind('.') + 1)).value();
  for (const std::string& wrong :
       {std::string(), signature.substr(1), signature + "x", signature + signature}) {
    const auto refused = check(input + "." + base64url(wrong), keys);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::signature_length) << wrong.size();
  }
  // RFC 8725, section 3.2 ("psychic signatures"): both numbers zero.
  EXPECT_EQ(check_code(input + "." + base64url(std::string(64, '\0')), keys), errc::invalid_signature);
  EXPECT_EQ(check_code(sign_jws("{}", Key::secret("some secret").value()).value().append("AAAA"),
                       set_of(Key::secret("some secret").value())),
            errc::signature_length);
}

TEST(Jws, TextThatIsNoTokenIsSaidToBeNone) {
  EXPECT_EQ(parse_code(""), errc::not_a_token);
  EXPECT_EQ(parse_code("a.b"), errc::not_a_token);
  EXPECT_THAT(parse_jws("a.b.c.d.e").error().message, HasSubstr("encrypted token"));
  EXPECT_EQ(parse_code("e30=.e30.AA"), errc::bad_base64url);
  EXPECT_EQ(parse_code(with_header(R"({"alg":"HS256"})") + "A*"), errc::bad_base64url);
  EXPECT_EQ(parse_code(std::string(kTokenBytesMax + 1, 'a')), errc::too_large);
  EXPECT_EQ(parse_code(std::string(kHeaderBytesMax + 1, 'a') + ".b.c"), errc::too_large);
  for (const char* shape : {"a.b.c", "e30.e30.", "a-_.b.c"}) EXPECT_TRUE(has_token_shape(shape)) << shape;
  for (const char* shape : {"", "a", "a.b", ".b.c", "a..c", "a.b.c.d", "a.b=.c", "correct horse", "a b.c.d"})
    EXPECT_FALSE(has_token_shape(shape)) << shape;
}

TEST(Jws, WhatIsQuotedOfATokenHasNoControlCharacters) {
  const auto refused = parse_jws(with_header(R"({"alg":"a\u001b[31m\u0000b"})"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace courier::jose
