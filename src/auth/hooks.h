// Port: who else decides what a client may do, packet by packet, and changes what is sent. Driver: webhook/.
//
//   ask(question, done) -> Ticket       `done` gets the answer
//   cancel(ticket)                      nobody waits for it any more
//
// 1. ask() never blocks. It calls `done` exactly once, unless cancel() came first: within ask(), or later, on
//    a thread that must not be held up.
// 2. cancel() says whether `done` will never be called. If not it was called, or is being called right now.
//
// Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/hook_answer.h"
#include "auth/hook_question.h"

namespace courier::auth {

// Where a question may be asked.
enum class HookPoint : uint8_t {
  connect,      // by an authenticator
  publish,      // a PUBLISH, and the will of a CONNECT
  subscribe,    // a SUBSCRIBE
  unsubscribe,  // an UNSUBSCRIBE; nobody can refuse it
  deliver,      // a message that is to go to a client; nobody can refuse it
};

class Hooks {
 public:
  using Ticket = std::shared_ptr<void>;

  virtual ~Hooks() = default;

  // Whether anybody is to be asked there; `m5`: about a client of 5.0.
  virtual bool asks(HookPoint point, bool m5) const = 0;
  // Who that is, for people: "auth_on_publish at http://127.0.0.1:8080/hook", in the order of asking.
  virtual std::vector<std::string> who(HookPoint point, bool m5) const = 0;

  virtual Ticket ask(PublishQuestion question, std::function<void(PublishAnswer)> done) = 0;
  virtual Ticket ask(SubscribeQuestion question, std::function<void(SubscribeAnswer)> done) = 0;
  virtual Ticket ask(UnsubscribeQuestion question, std::function<void(UnsubscribeAnswer)> done) = 0;
  virtual Ticket ask(DeliverQuestion question, std::function<void(DeliverAnswer)> done) = 0;

  virtual bool cancel(const Ticket& ticket) = 0;
};

// A question under way, held by whoever waits for its answer: when this goes the question is cancelled.
class HookQuestion {
 public:
  HookQuestion() = default;
  HookQuestion(Hooks& hooks, Hooks::Ticket ticket) : hooks_(&hooks), ticket_(std::move(ticket)) {}
  HookQuestion(HookQuestion&& other) noexcept
      : hooks_(std::exchange(other.hooks_, nullptr)), ticket_(std::move(other.ticket_)) {}
  HookQuestion& operator=(HookQuestion&& other) noexcept {
    std::swap(hooks_, other.hooks_);
    std::swap(ticket_, other.ticket_);
    return *this;
  }
  ~HookQuestion() {
    if (hooks_) hooks_->cancel(ticket_);
  }

  // The answer is here.
  void answered() {
    hooks_ = nullptr;
    ticket_.reset();
  }

 private:
  Hooks* hooks_ = nullptr;  // null: nothing is under way
  Hooks::Ticket ticket_;
};

}  // namespace courier::auth
