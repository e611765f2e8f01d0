// The hooks in force, which may be exchanged while questions are under way: each is answered, or cancelled,
// by those that it was asked of, which live until nobody needs them any more.
//
// Where the hooks in force ask nobody, a question is allowed at once: whoever asks looked at those before.
//
// Any thread may ask; replace(), sweep() and the end are for one owner.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auth/hooks.h"

namespace courier::auth {

class ReplaceableHooks final : public Hooks {
 public:
  // Null: nobody is asked.
  explicit ReplaceableHooks(std::shared_ptr<Hooks> first) : current_(std::move(first)) {}

  bool asks(HookPoint point, bool m5) const override;
  std::vector<std::string> who(HookPoint point, bool m5) const override;
  Ticket ask(PublishQuestion question, std::function<void(PublishAnswer)> done) override;
  Ticket ask(SubscribeQuestion question, std::function<void(SubscribeAnswer)> done) override;
  Ticket ask(UnsubscribeQuestion question, std::function<void(UnsubscribeAnswer)> done) override;
  Ticket ask(DeliverQuestion question, std::function<void(DeliverAnswer)> done) override;
  bool cancel(const Ticket& ticket) override;

  void replace(std::shared_ptr<Hooks> next);
  // Ends those that nobody but this needs any more, on the owner's thread: their own must not. Returns how
  // many are left.
  size_t sweep();

 private:
  struct Asked {
    std::shared_ptr<Hooks> hooks;
    Ticket ticket;
  };
  template <typename Answer, typename Question>
  Ticket ask_current(HookPoint point, Question question, std::function<void(Answer)> done);

  std::atomic<std::shared_ptr<Hooks>> current_;  // shared with what it was asked
  std::vector<std::shared_ptr<Hooks>> past_;     // the owner's
};

}  // namespace courier::auth
