// Port: something outside that is told of events. Adapters: file/, kafka/, webhook/.
#pragma once

#include <span>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "events/catalogue/catalogue.h"
#include "events/outbox.h"

namespace courier::events {

// What came of telling.
struct Told {
  // How many more of those that it was given are done with: the first ones.
  size_t finished = 0;
  std::string trouble;  // why the others are not, if something is wrong
};

class Sink {
 public:
  virtual ~Sink() = default;

  // Takes `events` on, behind those that it was given before and is not done with; those of one client are
  // told in this order. Done with is what is safe there, or given up by the sink's own rules (and counted,
  // and kept, as those say). A sink that goes on by itself may come back with others under way, after a tenth
  // of a second or so, and is then called again, perhaps with nothing new. `noted` are best-effort events,
  // given once and not counted. Error: what it was given and is not done with is all to be given again, after
  // a while; so some may be told twice. BLOCKS. One thread, one call at a time.
  virtual Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) = 0;
  // What it was given is none of its business any more: another node tells it. The thread of tell().
  virtual void forget() {}
  // Whether tell() is to be called though there is nothing new: something is under way. The same thread.
  virtual bool busy() const { return false; }
  // From another thread: the call under way, and each later one, comes back soon, with an error if it must.
  virtual void stop() = 0;
};

// courier_sink_given_up_total of that sink.
inline Counter& given_up_counter(Registry& metrics, const std::string& sink) {
  return metrics.counter("courier_sink_given_up_total",
                         "Events that the sink would never take, or not in time.", {{"sink", sink}});
}

}  // namespace courier::events
