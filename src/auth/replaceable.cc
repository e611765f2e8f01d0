#include "auth/replaceable.h"

#include <utility>

namespace courier::auth {

class Replaceable::Stay {
 public:
  explicit Stay(Generation& in) : authenticator(*in.authenticator), pending_(in.pending) {
    pending_->fetch_add(1, std::memory_order_relaxed);
  }
  ~Stay() { pending_->fetch_sub(1, std::memory_order_release); }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

  Authenticator& authenticator;

 private:
  const std::shared_ptr<std::atomic<size_t>> pending_;
};

class Replaceable::HeldExchange final : public Exchange {
 public:
  HeldExchange(std::shared_ptr<Stay> stay, std::shared_ptr<Exchange> inner)
      : stay_(std::move(stay)), inner_(std::move(inner)) {}
  void step(std::string data, std::function<void(Step)> done) override {
    // The answer may outlive the exchange.
    inner_->step(std::move(data), [stay = stay_, done = std::move(done)](Step step) mutable {
      const std::shared_ptr<Stay> until_done = std::move(stay);
      done(std::move(step));
    });
  }

 private:
  const std::shared_ptr<Stay> stay_;  // shared with its answers; goes last
  std::shared_ptr<Exchange> inner_;   // shared with its own steps on workers
};

Replaceable::Replaceable(std::unique_ptr<Authenticator> first) : current_(std::make_unique<Generation>()) {
  current_->authenticator = std::move(first);
}

// Generations share authenticators: no chain may go while a worker might still lead on to it.
Replaceable::~Replaceable() {
  for (const auto& one : past_) one->authenticator->stop();
  current_->authenticator->stop();
}

// Under the mutex, or sweep() could end it between the look and the count.
std::shared_ptr<Replaceable::Stay> Replaceable::enter() {
  const std::lock_guard lock(mutex_);
  return std::make_shared<Stay>(*current_);
}

void Replaceable::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  const std::shared_ptr<Stay> call = enter();
  call->authenticator.authenticate(std::move(credentials),
                                   [stay = call, done = std::move(done)](Decision decision) mutable {
                                     const std::shared_ptr<Stay> until_done = std::move(stay);
                                     done(std::move(decision));
                                   });
}

std::shared_ptr<Exchange> Replaceable::begin(std::string_view method, const Credentials& credentials) {
  std::shared_ptr<Stay> stay = enter();
  auto inner = stay->authenticator.begin(method, credentials);
  if (!inner) return nullptr;
  return std::make_shared<HeldExchange>(std::move(stay), std::move(inner));
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
    return one->pending->load(std::memory_order_acquire) == 0;
  });
  return past_.size();
}

}  // namespace courier::auth
