#include "auth/replaceable_hooks.h"

#include <utility>

namespace courier::auth {

bool ReplaceableHooks::asks(HookPoint point, bool m5) const {
  const auto hooks = current_.load();
  return hooks && hooks->asks(point, m5);
}

std::vector<std::string> ReplaceableHooks::who(HookPoint point, bool m5) const {
  const auto hooks = current_.load();
  return hooks ? hooks->who(point, m5) : std::vector<std::string>();
}

template <typename Answer, typename Question>
Hooks::Ticket ReplaceableHooks::ask_current(HookPoint point, Question question,
                                            std::function<void(Answer)> done) {
  auto hooks = current_.load();
  if (!hooks || !hooks->asks(point, question.client.m5)) {
    Answer allowed;
    allowed.outcome = HookOutcome::ok;
    done(std::move(allowed));
    return nullptr;
  }
  Ticket ticket = hooks->ask(std::move(question), std::move(done));
  return std::make_shared<Asked>(Asked{std::move(hooks), std::move(ticket)});
}

Hooks::Ticket ReplaceableHooks::ask(PublishQuestion question, std::function<void(PublishAnswer)> done) {
  return ask_current(HookPoint::publish, std::move(question), std::move(done));
}
Hooks::Ticket ReplaceableHooks::ask(SubscribeQuestion question, std::function<void(SubscribeAnswer)> done) {
  return ask_current(HookPoint::subscribe, std::move(question), std::move(done));
}
Hooks::Ticket ReplaceableHooks::ask(UnsubscribeQuestion question,
                                    std::function<void(UnsubscribeAnswer)> done) {
  return ask_current(HookPoint::unsubscribe, std::move(question), std::move(done));
}
Hooks::Ticket ReplaceableHooks::ask(DeliverQuestion question, std::function<void(DeliverAnswer)> done) {
  return ask_current(HookPoint::deliver, std::move(question), std::move(done));
}

bool ReplaceableHooks::cancel(const Ticket& ticket) {
  const auto asked = std::static_pointer_cast<Asked>(ticket);
  return asked && asked->hooks->cancel(asked->ticket);
}

void ReplaceableHooks::replace(std::shared_ptr<Hooks> next) {
  if (auto before = current_.exchange(std::move(next))) past_.push_back(std::move(before));
}

size_t ReplaceableHooks::sweep() {
  std::erase_if(past_, [](const std::shared_ptr<Hooks>& hooks) { return hooks.use_count() == 1; });
  return past_.size();
}

}  // namespace courier::auth
