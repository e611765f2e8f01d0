#include "auth/replaceable.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>
#include <utility>

#include "auth/chain.h"
#include "base/worker_pool.h"

namespace courier::auth {
namespace {

// Says its name; on a worker of its own if it has one. Tells when it ends.
class Named final : public Authenticator {
 public:
  Named(std::string name, int* ended, uint32_t workers = 0) : name_(std::move(name)), ended_(ended) {
    if (workers > 0) pool_ = std::make_unique<WorkerPool>("named", workers, 1'000'000);
  }
  ~Named() override {
    pool_.reset();
    ++*ended_;
  }
  void authenticate(Credentials, std::function<void(Decision)> done) override {
    Decision decision;
    decision.verdict = Verdict::allow;
    decision.identity.username = name_;
    if (holding) {
      held.push_back([done = std::move(done), decision] { done(decision); });
    } else if (pool_) {
      ASSERT_TRUE(pool_->post([this, done = std::move(done), decision]() mutable {
        if (before_answer) before_answer();
        if (passes) decision.verdict = Verdict::next;
        done(decision);
      }));
    } else {
      done(decision);
    }
  }
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials&) override {
    struct Echo final : Exchange {
      explicit Echo(std::string name) : name_(std::move(name)) {}
      void step(std::string data, std::function<void(Step)> done) override { done({name_ + data, {}}); }
      std::string name_;
    };
    return method == "ECHO" ? std::make_shared<Echo>(name_) : nullptr;
  }
  void stop() override {
    if (pool_) pool_->stop();
  }
  bool holding = false;
  std::vector<std::function<void()>> held;
  bool passes = false;
  std::function<void()> before_answer;

 private:
  const std::string name_;
  int* ended_;
  std::unique_ptr<WorkerPool> pool_;
};

std::string asked(Authenticator& authenticator) {
  std::string name;
  authenticator.authenticate({}, [&](const Decision& decision) { name = decision.identity.username.str(); });
  return name;
}

TEST(Replaceable, TheNextQuestionIsForTheNewOneAndTheOldOneEnds) {
  int old_ended = 0, new_ended = 0;
  {
    Replaceable authenticator(std::make_unique<Named>("old", &old_ended));
    EXPECT_EQ(asked(authenticator), "old");
    authenticator.replace(std::make_unique<Named>("new", &new_ended));
    EXPECT_EQ(asked(authenticator), "new");
    EXPECT_EQ(old_ended, 0);
    EXPECT_EQ(authenticator.sweep(), 0u);
    EXPECT_EQ(old_ended, 1);
    EXPECT_EQ(new_ended, 0);
  }
  EXPECT_EQ(new_ended, 1);
}

TEST(Replaceable, TheOldOneLivesUntilItHasGivenItsAnswers) {
  int old_ended = 0, new_ended = 0;
  auto old = std::make_unique<Named>("old", &old_ended);
  Named& first = *old;
  first.holding = true;
  Replaceable authenticator(std::move(old));
  std::string name;
  authenticator.authenticate({}, [&](const Decision& decision) { name = decision.identity.username.str(); });
  authenticator.replace(std::make_unique<Named>("new", &new_ended));
  EXPECT_EQ(authenticator.sweep(), 1u);
  EXPECT_EQ(old_ended, 0);
  first.held.front()();
  EXPECT_EQ(name, "old");
  EXPECT_EQ(authenticator.sweep(), 0u);
  EXPECT_EQ(old_ended, 1);
}

// A worker that the old chain and the new one share is in the middle of an answer when all of it ends.
TEST(Replaceable, AtTheEndNoWorkerLeadsOnToAChainThatIsGone) {
  int ended = 0, answers = 0;
  std::promise<void> running, go_on;
  auto shared = std::make_shared<Named>("shared", &ended, 1);
  shared->passes = true;
  shared->before_answer = [&] {
    running.set_value();
    go_on.get_future().wait();
  };
  const auto chain = [&](std::shared_ptr<Authenticator> last) {
    return std::make_unique<Chain>(std::vector<std::shared_ptr<Authenticator>>{shared, std::move(last)});
  };
  auto replaceable = std::make_unique<Replaceable>(chain(std::make_shared<Named>("old", &ended)));
  replaceable->authenticate({}, [&](const Decision& decision) {
    EXPECT_EQ(decision.identity.username.str(), "old");
    ++answers;
  });
  running.get_future().wait();
  replaceable->replace(chain(std::make_shared<Named>("new", &ended)));
  shared.reset();
  std::thread end([&] { replaceable.reset(); });
  go_on.set_value();
  end.join();
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(ended, 3);
}

TEST(Replaceable, AnExchangeGoesOnWithTheOneThatBeganIt) {
  int old_ended = 0, new_ended = 0;
  Replaceable authenticator(std::make_unique<Named>("old", &old_ended));
  EXPECT_EQ(authenticator.begin("UNKNOWN", {}), nullptr);
  auto exchange = authenticator.begin("ECHO", {});
  authenticator.replace(std::make_unique<Named>("new", &new_ended));
  EXPECT_EQ(authenticator.sweep(), 1u);
  std::string data;
  exchange->step("!", [&](const Exchange::Step& step) { data = step.data; });
  EXPECT_EQ(data, "old!");
  exchange.reset();
  EXPECT_EQ(authenticator.sweep(), 0u);
  EXPECT_EQ(old_ended, 1);
}

TEST(Replaceable, EveryQuestionIsAnsweredOnceWhileAuthenticatorsComeAndGo) {
  constexpr int kAskers = 3, kQuestions = 2000;
  int ended = 0, made = 1;
  std::atomic<int> answers{0};
  {
    Replaceable authenticator(std::make_unique<Named>("first", &ended, 2));
    std::atomic<int> asking{kAskers};
    std::vector<std::jthread> askers;
    for (int i = 0; i < kAskers; ++i) {
      askers.emplace_back([&] {
        for (int q = 0; q < kQuestions; ++q)
          authenticator.authenticate({}, [&](const Decision&) { ++answers; });
        --asking;
      });
    }
    while (asking > 0) {
      authenticator.replace(std::make_unique<Named>("next", &ended, 1));
      ++made;
      authenticator.sweep();
    }
    askers.clear();
    authenticator.replace(std::make_unique<Named>("last", &ended));
    ++made;
    while (authenticator.sweep() > 0) std::this_thread::yield();
    EXPECT_EQ(answers, kAskers * kQuestions);
    EXPECT_EQ(ended, made - 1);
  }
  EXPECT_EQ(ended, made);
}

}  // namespace
}  // namespace courier::auth
