// How much one connection may do: the limits that match it, and their budgets. Made at CONNECT, and anew when
// the rules are exchanged; a connection that nothing matches has none.
//
//   connect()   one CONNECT: go on, go on later, or no
//   enter()     counts the connection until this goes, whichever way that is
//   publish()   one message: go on, go on and then do not read for a while, or no
//
// Debts: what a client has sent is taken even if the budget does not have it, and then the client is not read
// until the budget is even. Only what would leave a debt of more than the rule's delay_max is refused; it
// costs nothing. All rules that match hold: when one refuses, nothing is taken from the others, but for what
// another thread may take from a shared budget in that very moment.
//
// Owned by the connection, used on its shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "auth/acl/question.h"
#include "base/clock.h"
#include "quota/budget.h"
#include "quota/rules.h"

namespace courier::quota {

class Allowance {
 public:
  // What a limit says, and which.
  struct Answer {
    bool refused = false;
    MonoNs pause = 0;              // not refused: go on, and then wait for so long
    const Limit* limit = nullptr;  // that refuses or delays; null: none does
    What what{};
  };

  // Null when nothing matches. `personal`: from the client's credentials, or null.
  static std::unique_ptr<Allowance> of(const RuleSet& rules, const Subject& subject, LimitPtr personal,
                                       MonoNs now);
  ~Allowance();
  Allowance(const Allowance&) = delete;
  Allowance& operator=(const Allowance&) = delete;

  // Counts what it delays and refuses, as all of these do.
  Answer connect(MonoNs now);
  // Counts the connection. Those that it takes the place of lend theirs: they end next. Null, or the limit
  // that is reached; then nothing has changed.
  const Limit* enter(std::span<Allowance* const> displaced);
  bool entered() const { return entered_; }
  // Takes over from the allowance under the rules before (null: there was none): what both have goes on, and
  // a connection that is there already is counted whether or not there is room.
  void succeed(const Allowance* before, bool entered);
  // `bytes`: of topic and payload. `can_refuse`: the client can be told, or the message be dropped.
  Answer publish(auth::acl::LabelId label, uint64_t bytes, uint64_t payload_bytes, bool can_refuse,
                 MonoNs now);
  // Whether `count` are too many: the limit that says so, or null.
  const Limit* subscriptions(uint64_t count) const;
  const Limit* retained(auth::acl::LabelId label, uint64_t count) const;
  // Of what publish() did not see: a will (kNoLabel: its label nobody has asked for), what a hook made of a
  // message.
  const Limit* payload(auth::acl::LabelId label, uint64_t bytes) const;
  // Of 0xFFFF: no limit.
  uint16_t inflight_max() const { return inflight_max_; }

  // The window that the connection would have without it.
  uint16_t window_before = 0;
  // Until when it is not read; 0: it is. Kept by whoever pauses it.
  MonoNs delayed_until = 0;
  uint64_t delayed_ns = 0, delays = 0, refusals = 0;
  MonoNs said_at = INT64_MIN;  // when the log last spoke of it

  struct Share {
    LimitPtr limit;
    std::shared_ptr<Budget> budget;  // null: the rule shares nothing
    bool counted = false;            // in budget->connections
  };
  std::span<const Share> shares() const { return shares_; }
  const LimitPtr& personal() const { return personal_; }

 private:
  Allowance() = default;

  Answer refused(const Limit& limit, What what);

  std::vector<Share> shares_;
  LimitPtr personal_;  // among the shares, too
  uint16_t inflight_max_ = 0xFFFF;
  bool entered_ = false;
};

}  // namespace courier::quota
