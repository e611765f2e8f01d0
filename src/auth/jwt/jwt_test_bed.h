// For tests: an authenticator, a clock in our hands, and files of keys.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "auth/jwt/jwt_authenticator.h"
#include "jose/jose_test_keys.h"

namespace courier::auth::jwt {

inline constexpr WallMs kToday = 1'700'000'000'000;

class TestClock final : public Clock {
 public:
  WallMs wall_ms() const override { return wall; }
  MonoNs mono_ns() const override { return mono; }
  void pass(int64_t ms) {
    wall += ms;
    mono += ms * kNsPerMs;
  }
  std::atomic<WallMs> wall{kToday};
  std::atomic<MonoNs> mono{100 * kNsPerSecond};
};

class JwtTestBed : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "courier_jwt_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    write("secret", std::string(kSecret) + "\n");
    options_.secret_file = path("secret");
    options_.leeway_ms = 0;
  }
  void TearDown() override {
    authenticator_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void open() {
    auto opened = JwtAuthenticator::open(options_, registry_, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    authenticator_ = std::move(*opened);
  }
  Error open_error() {
    auto opened = JwtAuthenticator::open(options_, registry_, clock_);
    EXPECT_FALSE(opened);
    return opened ? Error({}, "") : opened.error();
  }

  static jose::Key secret() { return jose::Key::secret(kSecret).value(); }
  static std::string token(const std::string& claims, const jose::Key& key) {
    return jose::sign_jws(claims, key).value();
  }
  static std::string token(const std::string& claims) { return token(claims, secret()); }

  static Credentials credentials(std::optional<std::string> username, std::optional<std::string> password,
                                 std::string client_id = "phone-7") {
    Credentials out;
    out.mountpoint = "listener's";
    out.client_id = std::move(client_id);
    out.username = std::move(username);
    out.password = std::move(password);
    return out;
  }
  Decision decide(Credentials credentials) {
    std::promise<Decision> promise;
    authenticator_->authenticate(std::move(credentials),
                                 [&](Decision decision) { promise.set_value(std::move(decision)); });
    return promise.get_future().get();
  }
  Decision decide(std::optional<std::string> username, std::optional<std::string> password) {
    return decide(credentials(std::move(username), std::move(password)));
  }
  double count(const std::string& result) {
    return registry_.value("courier_jwt_checks_total", {{"result", result}}).value_or(-1);
  }
  // Denied for that reason, and counted so.
  void expect_refused(const Decision& decision, const std::string& result, const std::string& why) {
    EXPECT_EQ(decision.verdict, Verdict::deny);
    EXPECT_EQ(decision.reason, mqtt::ReasonCode::not_authorized);
    EXPECT_THAT(decision.why, testing::HasSubstr(why));
    EXPECT_EQ(count(result), ++expected_[result]) << result;
  }

  static constexpr const char* kSecret = "a secret that phones do not know, 32 bytes";
  std::filesystem::path folder_;
  Registry registry_;
  TestClock clock_;
  Options options_;
  std::unique_ptr<JwtAuthenticator> authenticator_;
  std::map<std::string, double> expected_;
};

}  // namespace courier::auth::jwt
