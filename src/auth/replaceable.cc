#include "auth/replaceable.h"

#include <utility>

namespace courier::auth {

// Keeps its generation for as long as it lives.
class Replaceable::HeldExchange final : public Exchange {
 public:
  HeldExchange(Generation& generation, std::shared_ptr<Exchange> inner)
      : generation_(generation), inner_(std::move(inner)) {}
  ~HeldExchange() override {
    inner_.reset();
    generation_.leave();
  }
  void step(std::string data, std::function<void(Step)> done) override {
    generation_.pending.fetch_add(1, std::memory_order_relaxed);  // the answer may outlive the exchange
    inner_->step(std::move(data), [generation = &generation_, done = std::move(done)](Step step) {
      done(std::move(step));
      generation->leave();
    });
  }

 private:
  Generation& generation_;
  std::shared_ptr<Exchange> inner_;  // shared with its own steps on workers
};

Replaceable::Replaceable(std::unique_ptr<Authenticator> first) : current_(std::make_unique<Generation>()) {
  current_->authenticator = std::move(first);
}

Replaceable::~Replaceable() = default;

// Under the mutex, or sweep() could end it between the look and the count.
Replaceable::Generation& Replaceable::enter() {
  const std::lock_guard lock(mutex_);
  current_->pending.fetch_add(1, std::memory_order_relaxed);
  return *current_;
}

void Replaceable::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  Generation& generation = enter();
  generation.pending.fetch_add(1, std::memory_order_relaxed);  // for the answer, beside this call
  generation.authenticator->authenticate(std::move(credentials),
                                         [&generation, done = std::move(done)](Decision decision) {
                                           done(std::move(decision));
                                           generation.leave();
                                         });
  generation.leave();
}

std::shared_ptr<Exchange> Replaceable::begin(std::string_view method, const Credentials& credentials) {
  Generation& generation = enter();
  if (auto inner = generation.authenticator->begin(method, credentials)) {
    return std::make_shared<HeldExchange>(generation, std::move(inner));
  }
  generation.leave();
  return nullptr;
}

void Replaceable::replace(std::unique_ptr<Authenticator> next) {
  auto generation = std::make_unique<Generation>();
  generation->authenticator = std::move(next);
  {
    const std::lock_guard lock(mutex_);
    current_.swap(generation);
  }
  past_.push_back(std::move(generation));
}

size_t Replaceable::sweep() {
  std::erase_if(past_, [](const std::unique_ptr<Generation>& one) {
    return one->pending.load(std::memory_order_acquire) == 0;
  });
  return past_.size();
}

}  // namespace courier::auth
