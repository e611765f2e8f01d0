// Port: who may connect. Drivers: anonymous (here), file/, jwt/. Who may do what then: acl/.
//
// Every connection carries the Identity that its authenticator gave it, from CONNECT to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/grant.h"
#include "auth/properties.h"
#include "auth/session_terms.h"
#include "base/clock.h"
#include "base/name.h"
#include "base/text.h"
#include "mqtt/protocol.h"
#include "net/tls_session.h"

namespace courier::auth {

// Shared, because credentials travel from hand to hand and most have none.
using TlsSession = std::shared_ptr<const net::TlsSession>;

// Tells who works on a client's credentials for long that the client has gone: then nobody waits for a
// decision. Any thread.
class Hangup {
 public:
  // Calls `act` once that is so, at once if it is. It takes the place of what was given before.
  void then(std::function<void()> act) {
    {
      const std::lock_guard lock(mutex_);
      if (!gone_) {
        act_.swap(act);
        return;
      }
    }
    act();
  }
  void gone() {
    std::function<void()> act;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      act.swap(act_);
    }
    if (act) act();
  }

 private:
  std::mutex mutex_;
  bool gone_ = false;          // guarded by mutex_
  std::function<void()> act_;  // guarded by mutex_
};

// What a client says of itself, and how it came. Owns its strings: it may travel to a worker.
struct Credentials {
  std::string mountpoint;  // of the listener
  std::string client_id;
  std::optional<std::string> username, password;
  std::string peer;      // "192.0.2.7:51234", behind a PROXY header the real one
  std::string listener;  // its name
  mqtt::Version version{};
  TlsSession tls;           // null without; with the certificate that was verified, if there is one
  bool clean_start = true;  // "clean session" in 3.x
  // Of a 5.0 CONNECT; null for none. Shared: credentials are copied along a chain.
  std::shared_ptr<const Properties> properties;
  std::shared_ptr<Hangup> hangup;  // null: nobody will say
};

struct Identity {
  Text username;    // "" for an anonymous client that gave none
  Name mountpoint;  // the tenant; the listener's unless the authenticator knows better
  bool anonymous = true;
};

enum class Verdict : uint8_t {
  allow,
  deny,
  next,  // not mine: ask the next in the chain; a chain that nobody allowed denies
};

struct Decision {
  Verdict verdict = Verdict::next;
  mqtt::ReasonCode reason = mqtt::ReasonCode::not_authorized;  // when denied
  std::string why;                                             // when denied
  bool why_is_ours = false;  // it may name machines and rules of ours: for the log, not for the client

  // When allowed.
  Identity identity;
  std::vector<Grant> grants;             // rules that came with the client
  std::optional<WallMs> expires_at;      // from then on it is no longer allowed: its token ended
  std::optional<std::string> client_id;  // the session it is to have, whatever its CONNECT says
  SessionTerms terms;
  std::vector<Properties::UserProperty> user_properties;  // for the CONNACK of a 5.0 client
};

// One exchange of enhanced authentication, from the client's first data to a decision: MQTT 5.0,
// section 4.12.
class Exchange {
 public:
  // With a decision the exchange is over; `data` then goes with it, if it allows. Without one the client is
  // to answer `data`.
  struct Step {
    std::string data;
    std::optional<Decision> decision;
  };

  virtual ~Exchange() = default;
  // What the client says next. Calls `done` exactly once: at once, or later, on any thread; or never, if the
  // client hung up. Steps do not overlap. Called from shard threads: never blocks.
  virtual void step(std::string data, std::function<void(Step)> done) = 0;
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Calls `done` exactly once: at once, or later, on any thread; or never, if the client hung up. Called from
  // shard threads: never blocks.
  virtual void authenticate(Credentials credentials, std::function<void(Decision)> done) = 0;

  // Ends what answers later: once it has returned no thread of its own calls anything any more, and what was
  // not answered is dropped. By the owner, at the end, when nobody asks any longer.
  virtual void stop() {}

  // The beginning of an exchange by this method, of a CONNECT or, when it is connected, of a
  // re-authentication. Null: it is no method of this authenticator. At once. What it gives may outlive the
  // connection, but not the authenticator.
  virtual std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) {
    static_cast<void>(method);
    static_cast<void>(credentials);
    return nullptr;
  }
};

}  // namespace courier::auth
