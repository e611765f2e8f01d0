// What load balancers and supervisors ask any program of ours: /readyz and /livez.
//
// Called on the server's thread; answers at once.
#pragma once

#include <string>

namespace courier::admin {

struct Health {
  bool ready = false;
  std::string reason;  // when not
};

class Vitals {
 public:
  virtual ~Vitals() = default;
  virtual Health health() const = 0;
  // Whether the program still does what it is there for, slow as it may be; if not, a restart may help.
  virtual bool alive() const { return true; }
};

}  // namespace courier::admin
