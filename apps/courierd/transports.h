// What stands between a listener's sockets and MQTT, made from the settings: TLS, WebSocket, one on the
// other.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/settings.h"
#include "net/tls/certificate.h"
#include "net/tls/ticket_keys.h"
#include "net/transport.h"

namespace courier::courierd {

// For one thread.
class Transports {
 public:
  struct Door {
    std::shared_ptr<const net::TransportFactory> transport;  // null: plain MQTT
    std::vector<net::tls::CertificateDescription> certificates;
    std::vector<std::string> warnings;
  };
  // One for each listener, in their order. Reads all files again; the errors name the listener and the file.
  // Tickets of earlier calls stay good.
  Result<std::vector<Door>> load(const std::vector<config::Listener>& listeners, WallMs now);

 private:
  Result<Door> load(const config::Listener& listener, WallMs now);

  std::map<std::string, std::shared_ptr<net::tls::TicketKeys>> tickets_;  // by the listener's name
};

}  // namespace courier::courierd
