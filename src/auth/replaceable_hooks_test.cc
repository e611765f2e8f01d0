#include "auth/replaceable_hooks.h"

#include <optional>

#include <gtest/gtest.h>

namespace courier::auth {
namespace {

// Asks about PUBLISHes; answers when it is told to.
class PatientHooks final : public Hooks {
 public:
  explicit PatientHooks(bool& alive) : alive_(alive) { alive_ = true; }
  ~PatientHooks() override { alive_ = false; }

  bool asks(HookPoint point, bool) const override { return point == HookPoint::publish; }
  std::vector<std::string> who(HookPoint, bool) const override { return {"the patient"}; }
  Ticket ask(PublishQuestion, std::function<void(PublishAnswer)> done) override {
    done_ = std::move(done);
    return std::make_shared<int>(1);
  }
  Ticket ask(SubscribeQuestion, std::function<void(SubscribeAnswer)>) override { return unasked(); }
  Ticket ask(UnsubscribeQuestion, std::function<void(UnsubscribeAnswer)>) override { return unasked(); }
  Ticket ask(DeliverQuestion, std::function<void(DeliverAnswer)>) override { return unasked(); }
  bool cancel(const Ticket& ticket) override {
    EXPECT_TRUE(ticket);
    return std::exchange(done_, nullptr) != nullptr;
  }
  void answer() {
    PublishAnswer refused;
    refused.outcome = HookOutcome::refused;
    std::exchange(done_, nullptr)(std::move(refused));
  }

 private:
  static Ticket unasked() {
    ADD_FAILURE() << "nobody said it asks about that";
    return nullptr;
  }
  bool& alive_;
  std::function<void(PublishAnswer)> done_;
};

TEST(ReplaceableHooks, AQuestionIsAnsweredByThoseItWasAskedOf) {
  bool first_alive = false, second_alive = false;
  auto first = std::make_shared<PatientHooks>(first_alive);
  PatientHooks& asked = *first;
  ReplaceableHooks hooks(std::move(first));
  std::optional<HookOutcome> outcome;
  auto ticket = hooks.ask(PublishQuestion(), [&](const PublishAnswer& answer) { outcome = answer.outcome; });
  hooks.replace(std::make_shared<PatientHooks>(second_alive));
  EXPECT_EQ(hooks.sweep(), 1u);
  ASSERT_TRUE(first_alive);
  asked.answer();
  EXPECT_EQ(outcome, HookOutcome::refused);
  ticket.reset();
  EXPECT_EQ(hooks.sweep(), 0u);
  EXPECT_FALSE(first_alive);
  EXPECT_TRUE(second_alive);
}

TEST(ReplaceableHooks, AQuestionIsCancelledWhereItWasAsked) {
  bool alive = false;
  ReplaceableHooks hooks(std::make_shared<PatientHooks>(alive));
  const auto ticket =
      hooks.ask(PublishQuestion(), [](const PublishAnswer&) { ADD_FAILURE() << "it was cancelled"; });
  hooks.replace(nullptr);
  EXPECT_TRUE(hooks.cancel(ticket));
  EXPECT_FALSE(hooks.cancel(ticket));
}

TEST(ReplaceableHooks, WhereNobodyIsAskedAnyMoreAllIsAllowed) {
  bool alive = false;
  ReplaceableHooks hooks(std::make_shared<PatientHooks>(alive));
  EXPECT_TRUE(hooks.asks(HookPoint::publish, true));
  std::vector<HookOutcome> outcomes;
  EXPECT_EQ(hooks.ask(SubscribeQuestion(), [&](const SubscribeAnswer& a) { outcomes.push_back(a.outcome); }),
            nullptr);
  hooks.replace(nullptr);
  EXPECT_FALSE(hooks.asks(HookPoint::publish, true));
  EXPECT_TRUE(hooks.who(HookPoint::publish, true).empty());
  EXPECT_EQ(hooks.ask(PublishQuestion(), [&](const PublishAnswer& a) { outcomes.push_back(a.outcome); }),
            nullptr);
  EXPECT_EQ(outcomes, (std::vector<HookOutcome>{HookOutcome::ok, HookOutcome::ok}));
  EXPECT_FALSE(hooks.cancel(nullptr));
}

}  // namespace
}  // namespace courier::auth
