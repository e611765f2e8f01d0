// Hooks of the simulation: everything is asked, and allowed as it is, but late and in any order.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "auth/hooks.h"

namespace courier::sim {

class SimHooks final : public auth::Hooks {
 public:
  bool asks(auth::HookPoint, bool) const override { return true; }
  std::vector<std::string> who(auth::HookPoint, bool) const override { return {"the simulation"}; }

  Ticket ask(auth::PublishQuestion, std::function<void(auth::PublishAnswer)> done) override {
    return wait(std::move(done));
  }
  Ticket ask(auth::SubscribeQuestion, std::function<void(auth::SubscribeAnswer)> done) override {
    return wait(std::move(done));
  }
  Ticket ask(auth::UnsubscribeQuestion, std::function<void(auth::UnsubscribeAnswer)> done) override {
    return wait(std::move(done));
  }
  Ticket ask(auth::DeliverQuestion, std::function<void(auth::DeliverAnswer)> done) override {
    return wait(std::move(done));
  }
  bool cancel(const Ticket& ticket) override { return std::erase(waiting_, ticket) > 0; }

  size_t waiting() const { return waiting_.size(); }
  // Answers one of those that wait; without `random` the youngest.
  void answer(std::mt19937_64* random) {
    const size_t which = random ? (*random)() % waiting_.size() : waiting_.size() - 1;
    const auto ticket = std::static_pointer_cast<std::function<void()>>(waiting_[which]);
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(which));
    (*ticket)();
  }

 private:
  template <typename Answer>
  Ticket wait(std::function<void(Answer)> done) {
    Ticket ticket = std::make_shared<std::function<void()>>(
        [done = std::move(done)] { done(Answer{.outcome = auth::HookOutcome::ok}); });
    waiting_.push_back(ticket);
    return ticket;
  }

  std::vector<Ticket> waiting_;
};

}  // namespace courier::sim
