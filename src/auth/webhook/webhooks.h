// Asks HTTP endpoints what a client may do: the deciding hooks, as VerneMQ's vmq_webhooks has them.
//
//   ask(question, done) -> Ticket       `done` gets the Answer
//   cancel(ticket)                      the client hung up
//
// The endpoints of a hook are asked in their order until one decides: ok or an error ends the chain, next
// goes on. An endpoint that cannot be asked, or whose answer means nothing, ends it too, by the hook's
// on_failure:
//
//   technical failure     no connection, no whole answer in time, 5xx, 408, 429, another status that is not
//                         200 and not 4xx, no JSON, circuit open, queue full     on_failure
//   refusal               {"result": {"error": …}}, another 4xx, a bad modifier, a question that JSON cannot
//                         hold                                                   refused, whatever on_failure
//                         is
//
// on_unsubscribe and on_deliver refuse nothing: whatever went wrong, it goes on unmodified.
//
// Each endpoint (a URL with its TLS files) has connections_max requests under way, queue_max that wait for
// them, a deadline for each from when it was asked, and a circuit breaker. What the auth_ hooks answer is
// remembered as long as its Cache-Control says; a refusal for a moment; and who asks the same while the
// answer is under way waits for that one.
//
// 1. ask() never blocks. It calls `done` exactly once, unless cancel() came first: within ask() when the
//    answer is known, else later, on a thread that must not be held up.
// 2. cancel() says whether `done` will never be called. If not it was called, or is being called right now.
// 3. Destruction drops what waits, unanswered; nobody may ask or cancel any more.
//
// Any thread. One mutex, held for lookups only; `done` is called without it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/hooks.h"
#include "auth/jwt/token_cache.h"
#include "auth/webhook/answer_json.h"
#include "auth/webhook/circuit_breaker.h"
#include "auth/webhook/options.h"
#include "auth/webhook/question_json.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "http/requests.h"

namespace courier::auth::webhook {

class Webhooks final : public Hooks {
 public:
  // Registry and clock must outlive it. `sender`: null for one of its own. Errors: bad_options; those of
  // http::Requests::open().
  static Result<std::unique_ptr<Webhooks>> open(const Options& options, Registry& registry,
                                                const Clock& clock = system_clock(),
                                                std::unique_ptr<http::Sender> sender = nullptr);
  ~Webhooks() override;
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  // Whether anybody is to be asked. If not, ask() says next at once.
  bool asks(Hook hook) const { return !steps_[static_cast<size_t>(hook)].empty(); }
  bool asks(HookPoint point, bool m5) const override { return asks(hook_at(point, m5)); }
  std::vector<std::string> who(HookPoint point, bool m5) const override;

  Ticket ask(RegisterQuestion question, std::function<void(RegisterAnswer)> done);
  Ticket ask(PublishQuestion question, std::function<void(PublishAnswer)> done) override;
  Ticket ask(SubscribeQuestion question, std::function<void(SubscribeAnswer)> done) override;
  Ticket ask(UnsubscribeQuestion question, std::function<void(UnsubscribeAnswer)> done) override;
  Ticket ask(DeliverQuestion question, std::function<void(DeliverAnswer)> done) override;
  Ticket ask(AuthQuestion question, std::function<void(AuthAnswer)> done);

  bool cancel(const Ticket& ticket) override;

  // No question is answered any more. Whoever asks now waits for nothing.
  void stop();

 private:
  struct Asking;  // one question on its way: what a Ticket points at
  using Asked = std::shared_ptr<Asking>;
  // How a question to one endpoint can end, as metrics have it.
  enum class End : uint8_t {
    ok,
    refused,
    next,
    bad_modifier,
    not_json,
    status,
    timeout,
    unreachable,
    circuit_open,
    queue_full,
    cancelled,
  };
  struct Endpoint;
  struct Step;
  struct Flight;
  struct Judged;
  struct Late;

  Webhooks(const Options& options, Registry& registry, const Clock& clock,
           std::unique_ptr<http::Sender> sender);

  template <typename What, typename Kind>
  Asked begin(Kind question, std::function<void(HookAnswer<What>)> done);
  void advance(const Asked& asking);
  void conclude(const Asked& asking, Reply reply, bool failed);
  void conclude_failed(const Asked& asking, const Step& step, const std::string& why);

  bool answer_from_memory(const Asked& asking, const Step& step, const Wording& wording);
  void start(const std::shared_ptr<Flight>& flight, MonoNs now);  // with mutex_ held
  void finished(const std::shared_ptr<Flight>& flight, Result<http::Response> response);
  Judged judge(const Flight& flight, Result<http::Response> response) const;
  void remember(const Flight& flight, const Judged& judged, MonoNs now);
  static std::vector<Asked> land(Flight& flight);          // with mutex_ held
  std::vector<Late> pump(Endpoint& endpoint, MonoNs now);  // with mutex_ held
  void tell(std::vector<Asked> waiters, const Step& step, const Judged& judged);

  const Options options_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::array<std::vector<std::unique_ptr<Step>>, kHookCount> steps_;
  Gauge& open_circuits_;
  Gauge& waiting_;
  // Apart, so that refusals cannot drive out what lets clients in.
  jwt::TokenCache<Reply> good_, refused_;

  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;  // guarded by mutex_; to be joined
  std::minstd_rand random_;                                           // guarded by mutex_

  std::unique_ptr<http::Sender>
      sender_;  // guarded by mutex_; null: stopped. Its thread uses all of the above
};

}  // namespace courier::auth::webhook
