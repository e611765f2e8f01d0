#include "quota/allowance.h"

#include <algorithm>
#include <utility>

namespace courier::quota {

std::unique_ptr<Allowance> Allowance::of(const RuleSet& rules, const Subject& subject, LimitPtr personal,
                                         MonoNs now) {
  std::unique_ptr<Allowance> made;
  const auto add = [&](const LimitPtr& limit) {
    if (!made) made.reset(new Allowance());
    made->shares_.push_back({limit, limit->budget(subject, now), false});
    const uint32_t most = limit->rule.inflight_max;
    if (most != 0 && most < made->inflight_max_) made->inflight_max_ = static_cast<uint16_t>(most);
  };
  for (const LimitPtr& limit : rules) {
    if (matches(limit->rule, subject)) add(limit);
  }
  if (personal) {
    add(personal);
    made->personal_ = std::move(personal);
  }
  if (made) made->shares_.shrink_to_fit();
  return made;
}

Allowance::~Allowance() {
  for (const Share& share : shares_) {
    if (share.counted) share.budget->leave();
  }
}

Allowance::Answer Allowance::refused(const Limit& limit, What what) {
  ++refusals;
  limit.tally.add(what, Outcome::refused);
  return {true, 0, &limit, what};
}

Allowance::Answer Allowance::connect(MonoNs now) {
  for (const Share& share : shares_) {
    if (!share.budget || !share.budget->connects) continue;
    if (share.budget->connects->debt_after(1, now) > share.limit->rule.delay_max_ns) {
      return refused(*share.limit, What::connects_per_second);
    }
  }
  Answer answer;
  for (const Share& share : shares_) {
    if (!share.budget || !share.budget->connects) continue;
    const MonoNs pause = share.budget->connects->take(1, now);
    if (pause > answer.pause) answer = {false, pause, share.limit.get(), What::connects_per_second};
  }
  return answer;
}

const Limit* Allowance::enter(std::span<Allowance* const> displaced) {
  if (entered_) return nullptr;
  std::vector<Share*> lent;  // by shares_ that are counted so far; null: not lent
  for (Share& share : shares_) {
    if (share.limit->rule.connections_max == 0) continue;
    Share* lender = nullptr;
    for (Allowance* other : displaced) {
      if (!other) continue;
      for (Share& theirs : other->shares_) {
        if (theirs.counted && theirs.budget == share.budget) lender = &theirs;
      }
    }
    if (!lender && !share.budget->enter(share.limit->rule.connections_max)) {
      size_t at = 0;
      for (Share& taken : shares_) {
        if (!std::exchange(taken.counted, false)) continue;
        if (Share* to = lent[at++]) {
          to->counted = true;
        } else {
          taken.budget->leave();
        }
      }
      refused(*share.limit, What::connections_max);
      return share.limit.get();
    }
    if (lender) lender->counted = false;
    share.counted = true;
    lent.push_back(lender);
  }
  entered_ = true;
  return nullptr;
}

void Allowance::succeed(const Allowance* before, bool entered) {
  entered_ = entered;
  if (before) {
    window_before = before->window_before;
    delayed_until = before->delayed_until;
    delayed_ns = before->delayed_ns;
    delays = before->delays;
    refusals = before->refusals;
    said_at = before->said_at;
  }
  for (Share& share : shares_) {
    if (before) {
      const auto same = std::ranges::find(before->shares_, share.limit, &Share::limit);
      if (same != before->shares_.end()) share.budget = same->budget;  // of a connection's own
    }
    if (!entered || share.limit->rule.connections_max == 0) continue;
    share.budget->enter();  // and what `before` has counted goes with it
    share.counted = true;
  }
}

Allowance::Answer Allowance::publish(auth::acl::LabelId label, uint64_t bytes, uint64_t payload_bytes,
                                     bool can_refuse, MonoNs now) {
  for (const Share& share : shares_) {
    const Limit& limit = *share.limit;
    if (!limit.about(label)) continue;
    if (limit.rule.payload_bytes_max != 0 && payload_bytes > limit.rule.payload_bytes_max) {
      return refused(limit, What::payload_bytes_max);
    }
    if (!share.budget || !can_refuse) continue;
    const auto too_far = [&](const std::optional<Meter>& meter, uint64_t tokens) {
      return meter && meter->debt_after(tokens, now) > limit.rule.delay_max_ns;
    };
    if (too_far(share.budget->messages, 1)) return refused(limit, What::messages_per_second);
    if (too_far(share.budget->bytes, bytes)) return refused(limit, What::bytes_per_second);
  }
  Answer answer;
  for (const Share& share : shares_) {
    if (!share.budget || !share.limit->about(label)) continue;
    const auto take = [&](std::optional<Meter>& meter, uint64_t tokens, What what) {
      if (!meter) return;
      const MonoNs pause = meter->take(tokens, now);
      if (pause > answer.pause) answer = {false, pause, share.limit.get(), what};
    };
    take(share.budget->messages, 1, What::messages_per_second);
    take(share.budget->bytes, bytes, What::bytes_per_second);
  }
  return answer;
}

const Limit* Allowance::subscriptions(uint64_t count) const {
  for (const Share& share : shares_) {
    const uint32_t most = share.limit->rule.subscriptions_max;
    if (most != 0 && count > most) return share.limit.get();
  }
  return nullptr;
}

const Limit* Allowance::retained(auth::acl::LabelId label, uint64_t count) const {
  for (const Share& share : shares_) {
    const uint32_t most = share.limit->rule.retained_messages_max;
    if (most != 0 && count > most && share.limit->about(label)) return share.limit.get();
  }
  return nullptr;
}

const Limit* Allowance::payload(auth::acl::LabelId label, uint64_t bytes) const {
  for (const Share& share : shares_) {
    const Limit& limit = *share.limit;
    if (limit.rule.payload_bytes_max != 0 && bytes > limit.rule.payload_bytes_max && limit.about(label)) {
      return &limit;
    }
  }
  return nullptr;
}

}  // namespace courier::quota
