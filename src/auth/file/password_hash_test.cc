#include "auth/file/password_hash.h"
#include "auth/file/cheap_cost.h"

#include <gtest/gtest.h>

#include "auth/file/errc.h"

namespace courier::auth::file {
namespace {

// Made by the reference implementation's command line: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
constexpr const char* kReference =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

TEST(PasswordHash, MatchesWhatTheReferenceImplementationWrote) {
  EXPECT_EQ(matches(kReference, "password"), Match::yes);
  EXPECT_EQ(matches(kReference, "Password"), Match::no);
  EXPECT_EQ(parse_hash(kReference).value(), (Cost{65'536, 2, 1}));
}

TEST(PasswordHash, TwoHashesOfOnePasswordDifferAndBothMatch) {
  const auto a = hash_password("s3cret", kCheap);
  const auto b = hash_password("s3cret", kCheap);
  ASSERT_TRUE(a && b);
  EXPECT_NE(*a, *b);
  EXPECT_EQ(matches(*a, "s3cret"), Match::yes);
  EXPECT_EQ(matches(*b, "s3cret"), Match::yes);
  EXPECT_EQ(matches(*a, ""), Match::no);
  EXPECT_EQ(matches(*a, "s3cret "), Match::no);
  EXPECT_EQ(parse_hash(*a).value(), kCheap);
}

TEST(PasswordHash, APasswordMayHoldAnyByte) {
  const std::string password("a\0b:\n\xff", 6);
  const auto hash = hash_password(password, kCheap);
  ASSERT_TRUE(hash);
  EXPECT_EQ(matches(*hash, password), Match::yes);
  EXPECT_EQ(matches(*hash, std::string("a\0c:\n\xff", 6)), Match::no);
}

TEST(PasswordHash, TheDefaultCostIsTheOneThatIsDocumented) {
  const auto hash = hash_password("x");
  ASSERT_TRUE(hash);
  EXPECT_EQ(hash->rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0), 0u);
}

TEST(PasswordHash, EmptyAndOverlongPasswordsAreRefused) {
  EXPECT_EQ(hash_password("", kCheap).error().code, errc::bad_password);
  EXPECT_EQ(hash_password(std::string(65'536, 'x'), kCheap).error().code, errc::bad_password);
  EXPECT_TRUE(hash_password(std::string(65'535, 'x'), kCheap));
}

TEST(PasswordHash, WhatIsNotArgon2idWithinTheLimitsIsRefused) {
  const std::string rest = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  EXPECT_TRUE(parse_hash("$argon2id$v=19$m=262144,t=64,p=16" + rest));
  for (const std::string& hash :
       {std::string(), std::string("secret"), "$argon2i$v=19$m=8,t=1,p=1" + rest,
        "$argon2id$v=16$m=8,t=1,p=1" + rest, "$argon2id$v=19$m=262145,t=1,p=1" + rest,
        "$argon2id$v=19$m=8,t=65,p=1" + rest, "$argon2id$v=19$m=1024,t=1,p=17" + rest,
        "$argon2id$v=19$m=7,t=1,p=1" + rest, "$argon2id$v=19$m=8,t=0,p=1" + rest,
        "$argon2id$v=19$m=8,t=1,p=0" + rest, "$argon2id$v=19$m=99999999999,t=1,p=1" + rest,
        "$argon2id$v=19$t=1,m=8,p=1" + rest, std::string("$argon2id$v=19$m=8,t=1,p=1"),
        std::string("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ"),
        std::string("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$short"),
        "$argon2id$v=19$m=8,t=1,p=1" + rest + ":x", std::string("$7$101$salt$hash")}) {
    const auto cost = parse_hash(hash);
    ASSERT_FALSE(cost) << hash;
    EXPECT_EQ(cost.error().code, errc::invalid);
  }
}

}  // namespace
}  // namespace courier::auth::file
