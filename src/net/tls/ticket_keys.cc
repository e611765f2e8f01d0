#include "net/tls/ticket_keys.h"

#include <cstring>

#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace courier::net::tls {

namespace {

void wipe(std::optional<TicketKey>& key) {
  if (key) OPENSSL_cleanse(&*key, sizeof(*key));
  key.reset();
}

}  // namespace

TicketKeys::~TicketKeys() {
  wipe(newest_);
  wipe(former_);
}

void TicketKeys::keep_fresh(WallMs now, std::chrono::seconds lifetime) {
  const WallMs lifetime_ms = lifetime.count() * 1000;
  // A clock that was set back must not keep a key for longer.
  const auto fresh = [&](WallMs due) { return now < due && due - now <= lifetime_ms; };
  if (fresh(due_.load(std::memory_order_acquire))) return;
  TicketKey made;
  const std::lock_guard lock(mutex_);
  const WallMs due = due_.load(std::memory_order_relaxed);
  if (fresh(due)) return;
  if (RAND_bytes(made.name.data(), static_cast<int>(made.name.size())) != 1 ||
      RAND_priv_bytes(made.cipher.data(), static_cast<int>(made.cipher.size())) != 1 ||
      RAND_priv_bytes(made.mac.data(), static_cast<int>(made.mac.size())) != 1) {
    return;
  }
  wipe(former_);
  // After a long silence the last one is older than its tickets may be.
  if (newest_ && now < due + lifetime_ms) former_ = newest_;
  newest_ = made;
  OPENSSL_cleanse(&made, sizeof(made));
  due_.store(now + lifetime_ms, std::memory_order_release);
}

std::optional<TicketKey> TicketKeys::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

std::optional<TicketKeys::Found> TicketKeys::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (const auto* key : {&newest_, &former_}) {
    if (*key && name.size() == (*key)->name.size() &&
        std::memcmp(name.data(), (*key)->name.data(), name.size()) == 0) {
      return Found{**key, key == &newest_};
    }
  }
  return std::nullopt;
}

}  // namespace courier::net::tls
