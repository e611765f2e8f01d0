// courier jwt as people use it: files, pipes and exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "courier/command.h"
#include "courier/courier_process.h"
#include "http/http_test_server.h"
#include "jose/base64url.h"
#include "jose/jose_test_keys.h"

namespace courier::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class Jwt : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "courier_jwt_cli_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    write("secret", "a secret that phones do not know, 32 bytes\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return path(name);
  }
  Outcome jwt(std::vector<std::string> arguments, std::string_view input = "") const {
    arguments.insert(arguments.begin(), "jwt");
    return courier(std::move(arguments), input);
  }
  std::string minted(std::vector<std::string> more, std::vector<std::string> key = {}) const {
    if (key.empty()) key = {"--secret-file", path("secret")};
    more.insert(more.begin(), key.begin(), key.end());
    more.insert(more.begin(), "mint");
    const auto made = jwt(more);
    EXPECT_EQ(made.code, kOk) << made.err;
    return made.out;
  }
  nlohmann::json claims_of(const std::string& token) const {
    const auto shown = jwt({"inspect", "-o", "json"}, token);
    EXPECT_EQ(shown.code, kOk) << shown.err;
    return nlohmann::json::parse(shown.out)["claims"];
  }

  std::filesystem::path folder_;
};

TEST_F(Jwt, MintsWhatItIsToldAndInspectShowsItWithoutAKey) {
  const std::string token = minted({"--sub", "phone-17", "--iss", "me", "--aud", "a", "--aud", "b", "--claim",
                                    "rid=17", "--claim-json", "device={\"id\":7}", "--kid", "k1", "--exp",
                                    "2h", "--acl", "read orders/%u/# label orders"});
  const auto claims = claims_of(token);
  EXPECT_EQ(claims["sub"], "phone-17");
  EXPECT_EQ(claims["aud"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(claims["rid"], "17");  // text: that is what a user name is
  EXPECT_EQ(claims["device"]["id"], 7);
  EXPECT_EQ(claims["exp"].get<int64_t>() - claims["iat"].get<int64_t>(), 7'200);
  EXPECT_EQ(claims["acl"][0],
            (nlohmann::json{{"topic", "orders/%u/#"}, {"access", "read"}, {"label", "orders"}}));
  const auto shown = jwt({"inspect"}, token);
  EXPECT_THAT(shown.out, HasSubstr("kid  \"k1\""));
  EXPECT_THAT(shown.out, HasSubstr("expires in 1 h 59 min"));
  EXPECT_THAT(shown.out, HasSubstr("signature not checked"));
}

TEST_F(Jwt, VerifySaysExactlyWhatFailed) {
  const std::string good = write("token", minted({"--claim", "rid=17", "--iss", "me", "--aud", "courier"}));
  const auto verify = [&](std::vector<std::string> more, const std::string& token) {
    more.insert(more.begin(), {"verify", token});
    return jwt(more);
  };
  const std::vector<std::string> secret = {"--secret-file", path("secret")};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), secret.begin(), secret.end());
    return verify(more, good);
  };
  EXPECT_EQ(with({"-u", "17", "--iss", "me", "--aud", "courier", "--alg", "HS256"}).code, kOk);
  EXPECT_THAT(with({}).out, HasSubstr("signature good (HS256)"));
  const std::tuple<std::vector<std::string>, const char*> cases[] = {
      {{"-u", "18"}, "refused (username_mismatch): the user name is \"18\", but the token's is \"17\""},
      {{"--iss", "you"}, "refused (wrong_issuer)"},
      {{"--aud", "web"}, "refused (wrong_audience)"},
      {{"--alg", "HS512"}, "refused (bad_token): the token is signed with HS256; only HS512 may be"},
      {{"-u", "17", "--username-claim", "sub"}, "refused (missing_claim): the claim \"sub\" is missing"},
  };
  for (const auto& [flags, why] : cases) {
    const auto refused = with(flags);
    EXPECT_EQ(refused.code, kRefused);
    EXPECT_THAT(refused.err, HasSubstr(why));
  }
  const auto other = verify({"--secret-file", write("other", "another secret")}, good);
  EXPECT_EQ(other.code, kRefused);
  EXPECT_THAT(other.err, HasSubstr("refused (invalid_signature)"));
  const std::string old =
      write("old", minted({"--claim", "rid=17", "--claim-json", "exp=1000000000", "--claim-json", "iat=1"}));
  EXPECT_THAT(verify({"--secret-file", path("secret")}, old).err,
              HasSubstr("refused (expired): the token expired"));
  const auto json = nlohmann::json::parse(verify({"--secret-file", path("secret"), "-o", "json"}, old).out);
  EXPECT_EQ(json["valid"], false);
  EXPECT_EQ(json["reason"], "expired");
}

TEST_F(Jwt, PemAndJwksKeysSignAndVerify) {
  const auto rsa = jose::test::rsa_of_this_run();
  const auto ec = jose::test::fresh_ec("P-384");
  const auto ed = jose::test::fresh_ed25519();
  const std::string everybody = write("public.pem", rsa.public_pem + ec.public_pem + ed.public_pem);
  for (const auto& [pair, algorithm] : {std::pair(rsa, "RS256"), {ec, "ES384"}, {ed, "EdDSA"}}) {
    const std::string token = minted({"--sub", "a"}, {"--key", write("private.pem", pair.private_pem)});
    const auto checked = jwt({"verify", "--key", everybody}, token);
    EXPECT_EQ(checked.code, kOk) << checked.err;
    EXPECT_THAT(checked.out, HasSubstr(algorithm));
  }
  EXPECT_THAT(jwt({"verify", "--key", everybody},
                  minted({"--alg", "PS512"}, {"--key", write("private.pem", rsa.private_pem)}))
                  .out,
              HasSubstr("PS512"));
  const auto half = jwt({"mint", "--key", everybody, "--sub", "a"});
  EXPECT_EQ(half.code, kFailure);
  EXPECT_THAT(half.err, HasSubstr("no key there can sign"));
  EXPECT_EQ(jwt({"mint", "--key", write("private.pem", ed.private_pem), "--alg", "RS256"}).code, kFailure);
}

TEST_F(Jwt, KeysMayComeFromAnEndpoint) {
  http::test::Server server([](const std::string&) {
    return http::test::answer(R"({"keys":[)" + std::string(jose::test::kPublished[2].jwk) + "]}");
  });
  // The published token expired in 2011: its signature is good, and that is what is said of it.
  const auto checked = jwt({"verify", "--jwks-url", server.url()}, jose::test::kPublished[2].token);
  EXPECT_EQ(checked.code, kRefused);
  EXPECT_THAT(checked.err, HasSubstr("refused (expired)"));
  server.stop();
  EXPECT_EQ(jwt({"verify", "--jwks-url", server.url()}, jose::test::kPublished[2].token).code, kNoConnection);
}

TEST_F(Jwt, SecretsStayOffTheCommandLine) {
  const std::string token = minted({"--claim", "rid=17"});
  const auto slip = jwt({"inspect", token.substr(0, token.size() - 1)});
  EXPECT_EQ(slip.code, kUsage);
  EXPECT_THAT(slip.err, HasSubstr("that is a token, not a file"));
  EXPECT_THAT(slip.err, Not(HasSubstr(token.substr(0, 20))));
  ::setenv("COURIER_TEST_SECRET", "a secret that phones do not know, 32 bytes", 1);
  ::setenv("COURIER_TEST_TOKEN", token.c_str(), 1);
  EXPECT_EQ(jwt({"verify", "--secret-env", "COURIER_TEST_SECRET", "--token-env", "COURIER_TEST_TOKEN"}).code,
            kOk);
  EXPECT_EQ(jwt({"verify", "--secret-file", "-", "--token-env", "COURIER_TEST_TOKEN"},
                "a secret that phones do not know, 32 bytes\n")
                .code,
            kOk);
  ::unsetenv("COURIER_TEST_SECRET");
  ::unsetenv("COURIER_TEST_TOKEN");
  EXPECT_THAT(jwt({"verify", "--secret-env", "COURIER_TEST_SECRET"}).err,
              HasSubstr("COURIER_TEST_SECRET is not set"));
}

TEST_F(Jwt, MistakesAreUsageErrorsAndSayWhatToWrite) {
  const std::string secret = path("secret");
  EXPECT_THAT(jwt({"mint"}).err, HasSubstr("say what to sign with"));
  EXPECT_THAT(jwt({"verify"}, "x").err, HasSubstr("say what to check with"));
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--exp", "soon"}, "write 90s, 15m, 1h or 30d"},
      {{"--claim", "rid"}, "write NAME=VALUE"},
      {{"--claim", "=x"}, "a claim has a name"},
      {{"--claim", "rid=1", "--claim", "rid=2"}, "\"rid\" is given twice"},
      {{"--sub", "a", "--claim", "sub=b"}, "\"sub\" is given twice"},
      {{"--claim-json", "a={"}, "that is not JSON"},
      {{"--acl", "orders/#"}, "write ACCESS FILTER"},
      {{"--acl", "reed orders/#"}, "its access is not read"},
      {{"--acl", "read a/#/b"}, "not a topic filter"},
      {{"--alg", "none"}, "there is no algorithm \"none\""},
  };
  for (const auto& [flags, why] : cases) {
    auto all = flags;
    all.insert(all.begin(), {"mint", "--secret-file", secret});
    const auto mistake = jwt(all);
    EXPECT_EQ(mistake.code, kUsage) << flags.back();
    EXPECT_THAT(mistake.err, HasSubstr(why));
    EXPECT_EQ(mistake.out, "");
  }
  EXPECT_THAT(jwt({"verify", "--key", "-"}, "x").err, HasSubstr("cannot both come from stdin"));
  EXPECT_EQ(jwt({"inspect", path("nowhere")}).code, kFailure);
  EXPECT_THAT(jwt({"inspect"}, "not a token").err, HasSubstr("a token has three parts"));
}

TEST_F(Jwt, InspectNamesWhatCourierdWouldNotEvenCheck) {
  const auto shown = jwt({"inspect"}, jose::base64url(R"({"alg":"none"})") + "." +
                                          jose::base64url(R"({"sub":"a\u001b[31m"})") + ".");
  EXPECT_EQ(shown.code, kOk);
  EXPECT_THAT(shown.err, HasSubstr("courierd would refuse it: the token is not signed"));
  EXPECT_THAT(shown.out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace courier::cli
