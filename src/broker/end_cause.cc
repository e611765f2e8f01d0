#include "broker/end_cause.h"

namespace courier::broker {

std::string_view name(EndCause cause) {
  switch (cause) {
    case EndCause::client_disconnect:
      return "client_disconnect";
    case EndCause::client_closed:
      return "client_closed";
    case EndCause::keep_alive_timeout:
      return "keep_alive_timeout";
    case EndCause::connect_timeout:
      return "connect_timeout";
    case EndCause::packet_timeout:
      return "packet_timeout";
    case EndCause::protocol_violation:
      return "protocol_violation";
    case EndCause::taken_over:
      return "taken_over";
    case EndCause::refused:
      return "refused";
    case EndCause::server_shutdown:
      return "server_shutdown";
    case EndCause::administrative:
      return "administrative";
    case EndCause::output_overflow:
      return "output_overflow";
    case EndCause::not_authorized:
      return "not_authorized";
    case EndCause::limit_reached:
      return "limit_reached";
    case EndCause::banned:
      return "banned";
  }
  return "unknown";
}

}  // namespace courier::broker
