#include "auth/file/file_authenticator.h"
#include "auth/file/cheap_cost.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "auth/file/errc.h"

namespace courier::auth::file {
namespace {

using mqtt::ReasonCode;

constexpr MonoNs kSecond = 1'000'000'000;

class FakeClock final : public Clock {
 public:
  WallMs wall_ms() const override { return 0; }
  MonoNs mono_ns() const override { return now; }
  std::atomic<MonoNs> now{100 * kSecond};
};

class FileAuthenticatorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "courier_auth_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = (folder_ / "passwd").string();
    ASSERT_TRUE(set_password(path_, "alice", "right", kCheap));
  }
  void TearDown() override {
    authenticator_.reset();
    std::filesystem::remove_all(folder_);
  }

  void open(uint32_t workers = 1, uint32_t queue_max = 100) {
    auto opened = FileAuthenticator::open({path_, workers, queue_max}, registry_, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    authenticator_ = std::move(*opened);
  }

  static Credentials credentials(std::optional<std::string> username, std::optional<std::string> password) {
    Credentials out;
    out.mountpoint = "tenant-a";
    out.client_id = "phone-7";
    out.username = std::move(username);
    out.password = std::move(password);
    return out;
  }

  Decision decide(std::optional<std::string> username, std::optional<std::string> password) {
    std::promise<Decision> promise;
    authenticator_->authenticate(credentials(std::move(username), std::move(password)),
                                 [&](Decision decision) { promise.set_value(std::move(decision)); });
    return promise.get_future().get();
  }

  double count(const std::string& result) {
    return registry_.value("courier_password_checks_total", {{"result", result}}).value_or(-1);
  }

  std::filesystem::path folder_;
  std::string path_;
  Registry registry_;
  FakeClock clock_;
  std::unique_ptr<FileAuthenticator> authenticator_;
};

TEST_F(FileAuthenticatorTest, TheRightPasswordGivesTheUsersIdentity) {
  open();
  const Decision decision = decide("alice", "right");
  EXPECT_EQ(decision.verdict, Verdict::allow);
  EXPECT_EQ(decision.identity.username, "alice");
  EXPECT_EQ(decision.identity.mountpoint, "tenant-a");
  EXPECT_FALSE(decision.identity.anonymous);
  EXPECT_EQ(count("right"), 1);
}

TEST_F(FileAuthenticatorTest, AWrongOrMissingPasswordIsDenied) {
  open();
  for (const auto& password : {std::optional<std::string>("wrong"), std::optional<std::string>(""),
                               std::optional<std::string>("right "), std::optional<std::string>()}) {
    const Decision decision = decide("alice", password);
    EXPECT_EQ(decision.verdict, Verdict::deny);
    EXPECT_EQ(decision.reason, ReasonCode::bad_user_name_or_password);
  }
  EXPECT_EQ(count("wrong"), 4);
}

TEST_F(FileAuthenticatorTest, NoNameAndUnknownNamesAreLeftToTheNextInTheChain) {
  open();
  EXPECT_EQ(decide(std::nullopt, std::nullopt).verdict, Verdict::next);
  EXPECT_EQ(count("unknown_user"), 0);
  EXPECT_EQ(decide("mallory", "right").verdict, Verdict::next);
  EXPECT_EQ(decide("", "right").verdict, Verdict::next);
  EXPECT_EQ(count("unknown_user"), 2);
}

TEST_F(FileAuthenticatorTest, AFullQueueIsServerBusyAndEveryoneElseIsAnswered) {
  open(1, 2);
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  std::latch answered(3);
  std::vector<Decision> decisions(3);
  // The first answer holds the only worker, so the next two wait in the queue.
  authenticator_->authenticate(credentials("alice", "right"), [&](Decision decision) {
    decisions[0] = std::move(decision);
    entered.set_value();
    released.wait();
    answered.count_down();
  });
  entered.get_future().wait();
  for (size_t i = 1; i < 3; ++i) {
    authenticator_->authenticate(credentials("alice", "right"), [&, i](Decision decision) {
      decisions[i] = std::move(decision);
      answered.count_down();
    });
  }
  const Decision busy = decide("alice", "right");
  EXPECT_EQ(busy.verdict, Verdict::deny);
  EXPECT_EQ(busy.reason, ReasonCode::server_busy);
  EXPECT_EQ(count("busy"), 1);
  release.set_value();
  answered.wait();
  for (const Decision& decision : decisions) EXPECT_EQ(decision.verdict, Verdict::allow);
}

// Who waits then is not answered, and nothing of it stays: neither a password nor who was to be told.
TEST_F(FileAuthenticatorTest, StopsWhileAnswersArePending) {
  open(1, 100);
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  const auto told = std::make_shared<std::atomic<int>>(0);
  authenticator_->authenticate(credentials("alice", "right"), [&entered, released, told](Decision) {
    entered.set_value();
    released.wait();
    ++*told;
  });
  entered.get_future().wait();
  for (int i = 0; i < 20; ++i) {
    authenticator_->authenticate(credentials("alice", "wrong"), [told](Decision) { ++*told; });
  }
  auto exchange = authenticator_->begin("SCRAM-SHA-256", credentials(std::nullopt, std::nullopt));
  ASSERT_TRUE(exchange);
  exchange->step("n,,n=alice,r=abc", [told](Exchange::Step) { ++*told; });
  exchange.reset();
  std::thread stopping([&] { authenticator_.reset(); });
  release.set_value();
  stopping.join();
  EXPECT_GE(*told, 1) << "what ran was let finish";
  EXPECT_EQ(told.use_count(), 1);
}

TEST_F(FileAuthenticatorTest, AChangedFileCountsWithinASecond) {
  open();
  ASSERT_TRUE(set_password(path_, "bob", "new", kCheap));
  clock_.now += kSecond - 1;
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::next);
  clock_.now += 1;
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::allow);
  ASSERT_TRUE(delete_user(path_, "alice"));
  clock_.now += kSecond;
  EXPECT_EQ(decide("alice", "right").verdict, Verdict::next);
}

TEST_F(FileAuthenticatorTest, ABadOrMissingFileLeavesTheOldUsersInForce) {
  open();
  std::ofstream(path_, std::ios::trunc) << "not a password file\n";
  clock_.now += kSecond;
  EXPECT_EQ(decide("alice", "right").verdict, Verdict::allow);
  std::filesystem::remove(path_);
  clock_.now += kSecond;
  EXPECT_EQ(decide("alice", "right").verdict, Verdict::allow);
  ASSERT_TRUE(set_password(path_, "bob", "new", kCheap));
  clock_.now += kSecond;
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::allow);
  EXPECT_EQ(decide("alice", "right").verdict, Verdict::next);
}

TEST_F(FileAuthenticatorTest, APreparedFileCountsAtOnceWhenItIsCommittedAndABadOneIsReported) {
  open();
  ASSERT_TRUE(set_password(path_, "bob", "new", kCheap));
  const auto commit = authenticator_->prepare_reload();
  ASSERT_TRUE(commit);
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::next) << "prepared only";
  (*commit)();
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::allow);
  std::ofstream(path_, std::ios::trunc) << "not a password file\n";
  EXPECT_EQ(authenticator_->prepare_reload().error().code, errc::invalid);
  clock_.now += kSecond;
  EXPECT_EQ(decide("bob", "new").verdict, Verdict::allow);
  EXPECT_FALSE(authenticator_->prepare_reload()) << "it is still bad, though it was looked at before";
}

TEST_F(FileAuthenticatorTest, DoesNotOpenWithoutAGoodFile) {
  std::ofstream(path_, std::ios::trunc) << "not a password file\n";
  EXPECT_EQ(FileAuthenticator::open({path_, 1, 1}, registry_, clock_).error().code, errc::invalid);
  std::filesystem::remove(path_);
  EXPECT_EQ(FileAuthenticator::open({path_, 1, 1}, registry_, clock_).error().code, errc::unreadable);
}

TEST_F(FileAuthenticatorTest, ManyAtOnceOnSeveralWorkersAllGetTheirOwnAnswer) {
  open(3, 1000);
  constexpr int kClients = 200;
  std::latch answered(kClients);
  std::atomic<int> allowed{0}, denied{0};
  for (int i = 0; i < kClients; ++i) {
    authenticator_->authenticate(credentials("alice", i % 2 == 0 ? "right" : "wrong"),
                                 [&](Decision decision) {
                                   (decision.verdict == Verdict::allow ? allowed : denied)++;
                                   answered.count_down();
                                 });
  }
  answered.wait();
  EXPECT_EQ(allowed, kClients / 2);
  EXPECT_EQ(denied, kClients / 2);
}

TEST_F(FileAuthenticatorTest, TheMemoryOfRunningChecksIsKnown) {
  open(3);
  EXPECT_EQ(authenticator_->memory_bytes_max(), 3u * 8 * 1024);
}

}  // namespace
}  // namespace courier::auth::file
