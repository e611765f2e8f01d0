#include "events/webhook/signature.h"

#include <gtest/gtest.h>

namespace courier::events::webhook {
namespace {

using Headers = http::Headers;

// The example of the specification's reference libraries.
constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

TEST(Signature, IsThatOfTheSpecification) {
  const auto secrets = parse_secrets(kSecret);
  ASSERT_TRUE(secrets) << secrets.error().message;
  Headers headers;
  sign(headers, *secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1'614'265'330'999, R"({"test": 2432232314})");
  EXPECT_EQ(headers, Headers({{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
                              {"webhook-timestamp", "1614265330"},
                              {"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}}));
}

TEST(Signature, EachSecretSignsWhileOneIsReplaced) {
  const auto secrets = parse_secrets(
      std::string("# the new one\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\n") + kSecret + "\n");
  ASSERT_TRUE(secrets) << secrets.error().message;
  Headers headers;
  sign(headers, *secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1'614'265'330'000, R"({"test": 2432232314})");
  const std::string& signatures = headers.back().second;
  EXPECT_TRUE(signatures.ends_with(" v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")) << signatures;
  EXPECT_EQ(signatures.find("v1,"), 0u);
}

TEST(Signature, WithoutSecretsThereIsNone) {
  Headers headers;
  sign(headers, {}, "1", 1000, "");
  EXPECT_EQ(headers, Headers({{"webhook-id", "1"}, {"webhook-timestamp", "1"}}));
}

TEST(Signature, WhatIsNoSecretIsRefusedWithoutBeingShown) {
  for (const char* text : {"", "\n# only a word\n", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short",
                           "whsec_", "whsec_%%%", "whsec_c2VjcmV0"}) {
    const auto refused = parse_secrets(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().message.find("c2VjcmV0"), std::string::npos);
  }
  std::string many;
  for (int i = 0; i < 9; ++i) many += std::string(kSecret) + "\n";
  EXPECT_FALSE(parse_secrets(many));
}

}  // namespace
}  // namespace courier::events::webhook
