#include "net/tls/hello_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace courier::net::tls {
namespace {

constexpr size_t kMax = 1000;

std::string record(int type, const std::string& content) {
  std::string made{static_cast<char>(type), 3, 1};
  made += static_cast<char>(content.size() >> 8);
  made += static_cast<char>(content.size());
  return made + content;
}

// A handshake message, or its beginning.
std::string message(int type, size_t announced, size_t there) {
  std::string made{static_cast<char>(type), static_cast<char>(announced >> 16),
                   static_cast<char>(announced >> 8), static_cast<char>(announced)};
  return made + std::string(there, 'x');
}
std::string message(int type, size_t size) {
  return message(type, size, size);
}

// The same whole, byte by byte, and cut anywhere.
bool admits(const std::string& bytes) {
  HelloGuard guard;
  const bool whole = guard.admits(bytes, kMax);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    HelloGuard pieces;
    const bool both = pieces.admits(std::string_view(bytes).substr(0, cut), kMax) &&
                      pieces.admits(std::string_view(bytes).substr(cut), kMax);
    EXPECT_EQ(both, whole) << "cut at " << cut;
  }
  HelloGuard slow;
  bool all = true;
  for (const char byte : bytes) all = all && slow.admits({&byte, 1}, kMax);
  EXPECT_EQ(all, whole);
  return whole;
}

TEST(HelloGuard, AdmitsAHelloOfTheSizeThatMayBe) {
  EXPECT_TRUE(admits(record(22, message(1, kMax))));
  EXPECT_FALSE(admits(record(22, message(1, kMax + 1, 0))));
  EXPECT_FALSE(admits(record(22, message(1, 0xFFFFFF, 0))));
}

TEST(HelloGuard, ReadsAHeaderThatIsSpreadOverRecords) {
  const std::string header = message(1, kMax + 1, 0);
  std::string spread;
  for (const char byte : header) spread += record(22, {byte}) + record(22, "");
  EXPECT_FALSE(admits(spread));
}

TEST(HelloGuard, LooksAtWhatFollowsAHelloInItsRecord) {
  EXPECT_FALSE(admits(record(22, message(1, 10) + message(1, kMax + 1, 0))));
  EXPECT_FALSE(admits(record(22, message(1, 10) + message(16, 20) + message(1, kMax + 1, 0))));
}

TEST(HelloGuard, DoesNotMistakeWhatIsEncryptedForAHello) {
  const std::string hello = record(22, message(1, 10));
  EXPECT_TRUE(admits(hello + record(20, "\x01") + record(22, message(1, 0xFFFFFF, 0))));
  EXPECT_TRUE(admits(hello + record(23, message(1, 0xFFFFFF, 0))));
}

TEST(HelloGuard, LooksAtTheSecondHelloWhenOneIsExpected) {
  for (const std::string& between : {std::string(), record(20, "\x01")}) {
    HelloGuard guard;
    EXPECT_TRUE(guard.admits(record(22, message(1, 10)), kMax));
    guard.expect_another();
    EXPECT_TRUE(guard.admits(between, kMax));
    EXPECT_FALSE(guard.admits(record(22, message(1, kMax + 1, 0)), kMax));
  }
}

TEST(HelloGuard, KnowsAHelloRetryRequestByItsRandom) {
  std::string retry = record(22, message(2, 2 + 32 + 10));
  EXPECT_FALSE(is_hello_retry(retry));
  const std::string random(
      "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07"
      "\x9E\x09\xE2"
      "\xC8\xA8\x33\x9C",
      32);
  retry.replace(11, 32, random);
  EXPECT_TRUE(is_hello_retry(retry));
  EXPECT_FALSE(is_hello_retry(retry.substr(0, 42)));
}

}  // namespace
}  // namespace courier::net::tls
